-- id: ID05
-- family: identity
-- about: An agent uses an access key that never expires
-- window: day
-- frameworks: ASI03 NHI7 NHI4 MAESTRO-L4 T1078.004
SELECT
    call,
    coalesce(credential, actor) AS subject,
    'high' AS severity,
    CASE
        WHEN credential_kind = 'bedrock_api_key' THEN concat(agent, ' uses a long-lived API key of Bedrock')
        ELSE concat(agent, ' uses the long-lived access key ', credential)
    END AS title,
    'agents should hold temporary credentials: a key that never expires can be copied and used by anyone' AS why
FROM calls
WHERE agent IS NOT NULL
  AND (credential_kind = 'bedrock_api_key' OR credential_kind = 'long_lived' AND credential IS NOT NULL)
