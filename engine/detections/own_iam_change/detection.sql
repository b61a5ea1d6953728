-- id: PR01
-- family: privilege
-- about: An agent changes its own role, user or the policies attached to it
-- window: day
-- frameworks: ASI03 ASI10 AAI001 NHI5 T1098.003 T1548
-- Nothing declares this away: an agent that edits its own remit has none.
SELECT
    call,
    permission AS subject,
    CASE outcome WHEN 'success' THEN 'critical' ELSE 'high' END AS severity,
    concat(agent, CASE outcome WHEN 'success' THEN ' changed' ELSE ' tried to change' END, ' its own IAM with ', permission) AS title,
    'the target of the call is the caller itself, or a policy attached to it' AS why
FROM calls
WHERE agent IS NOT NULL
  AND is_own_iam
  AND outcome IN ('success', 'denied')
