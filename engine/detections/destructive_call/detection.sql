-- id: DS01
-- family: destructive
-- about: An agent destroyed something and does not declare that it may
-- window: day
-- frameworks: ASI02 ASI08 AAI005 NHI5 MAESTRO-L4 NIST-MG2.4 T1485
SELECT
    call,
    permission AS subject,
    CASE WHEN environment = 'prod' THEN 'critical' ELSE 'high' END AS severity,
    concat(agent, ' destroyed with ', permission) AS title,
    concat('a destructive call that succeeded and that its manifest does not declare (', scope_reason, ')') AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND is_destructive
  AND scope = 'out'
