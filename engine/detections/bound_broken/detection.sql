-- id: SC05
-- family: scope
-- about: An agent called from outside the networks, regions or hours that its manifest bounds it to
-- window: day
-- frameworks: ASI03 NHI6 MAESTRO-L4 NIST-MS2.7 T1078.004 T1535
-- A call that breaks several bounds is told under the gravest: networks, then regions, then hours.
SELECT
    call,
    concat('bounds.', bound_broken) AS subject,
    CASE bound_broken WHEN 'networks' THEN 'high' ELSE 'medium' END AS severity,
    concat(agent, CASE bound_broken
        WHEN 'networks' THEN ' called from outside its networks'
        WHEN 'regions' THEN ' called outside its regions'
        ELSE ' called outside its hours' END) AS title,
    concat('its manifest bounds every call of it; this one was made ', bound_seen) AS why
FROM calls
WHERE agent IS NOT NULL
  AND bound_broken IN ('networks', 'regions', 'hours')
  AND outcome IN ('success', 'denied')
  AND invoked_by IS NULL
