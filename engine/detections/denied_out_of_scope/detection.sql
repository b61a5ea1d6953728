-- id: SC02
-- family: scope
-- about: A call outside the agent's declared scope that the cloud denied
-- window: day
-- frameworks: ASI02 ASI03 AAI001 NHI5 MAESTRO-L6 NIST-MS2.7 T1078.004
SELECT
    call,
    permission AS subject,
    CASE
        WHEN is_destructive OR is_credential_minting OR is_logging_tamper OR level = 'permissions' THEN 'high'
        ELSE 'medium'
    END AS severity,
    concat(agent, ' was denied ', permission, ', which it does not declare') AS title,
    concat(CASE scope_reason
        WHEN 'other_resource' THEN 'its manifest declares the permission on other resources only'
        WHEN 'denied_by_manifest' THEN concat('its manifest denies it: ', scope_statement)
        ELSE 'no entry of its manifest covers this permission' END, CASE
        WHEN denied_by LIKE 'explicit:%' THEN concat('; a guardrail stopped it: ', denied_by)
        WHEN denied_by IS NOT NULL THEN concat('; stopped by the ', denied_by, ' policy')
        ELSE '' END) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'denied'
  AND certain
  AND scope = 'out'
  AND invoked_by IS NULL
  AND NOT is_expected_denial
