-- id: DS01
-- family: destructive
-- about: An agent destroyed something and does not declare that it may
-- window: day
-- frameworks: ASI02 ASI08 AAI005 NHI5 MAESTRO-L4 NIST-MG2.4 T1485
SELECT
    call,
    permission AS subject,
    CASE WHEN environment = 'prod' THEN 'critical' ELSE 'high' END AS severity,
    concat(agent, ' made a destructive call that it does not declare: ', permission) AS title,
    concat('the call succeeded; ', CASE scope_reason
        WHEN 'other_resource' THEN 'the manifest declares it on other resources only'
        WHEN 'denied_by_manifest' THEN concat('the manifest denies it: ', scope_statement)
        ELSE 'no entry of the manifest covers it' END) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND is_destructive
  AND scope = 'out'
