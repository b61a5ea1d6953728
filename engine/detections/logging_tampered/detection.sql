-- id: LG01
-- family: logging
-- about: Somebody stopped, thinned or deleted the logs that remit reads
-- window: day
-- frameworks: ASI10 AAI011 MAESTRO-L5 NIST-MS2.4 T1562.008
-- Whoever did it: what the logs no longer show, nobody can watch.
SELECT
    call,
    permission AS subject,
    CASE WHEN outcome = 'success' AND agent IS NOT NULL THEN 'critical' ELSE 'high' END AS severity,
    concat(coalesce(agent, actor), CASE outcome WHEN 'success' THEN ' changed' ELSE ' tried to change' END,
           ' the logging with ', permission) AS title,
    'the call can stop, narrow or delete the logs that this watch rests on' AS why
FROM calls
WHERE is_logging_tamper
  AND certain
  AND outcome IN ('success', 'denied')
  AND coalesce(scope, 'out') <> 'in'
  AND coalesce(actor_type, '') <> 'AWSService'
