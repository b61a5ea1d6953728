-- id: ID06
-- family: identity
-- about: An agent's session is older than its manifest allows
-- window: day
-- frameworks: ASI03 NHI7 NIST-MS2.7 T1550.001
SELECT
    call,
    'bounds.session_max' AS subject,
    CASE WHEN bound_is_grave THEN 'high' ELSE 'medium' END AS severity,
    concat(agent, ' used a session that is older than its manifest allows') AS title,
    concat('the call was made ', bound_seen) AS why
FROM calls
WHERE agent IS NOT NULL
  AND bound_broken = 'session_max'
  AND outcome IN ('success', 'denied')
