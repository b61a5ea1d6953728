-- id: SC10
-- family: scope
-- about: An agent goes on although its manifest has expired
-- window: day
-- frameworks: ASI10 NHI1 NIST-GV1.7 T1078.004
SELECT
    call,
    'expires' AS subject,
    'high' AS severity,
    concat(agent, ' acts although its manifest has expired') AS title,
    'nothing is declared any more: review the manifest and set a new `expires`, or retire the agent' AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND scope_reason = 'expired'
  AND invoked_by IS NULL
