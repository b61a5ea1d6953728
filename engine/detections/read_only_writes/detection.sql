-- id: SC08
-- family: scope
-- about: An agent that declares only List and Read permissions changes something, or tries to
-- window: day
-- frameworks: ASI02 AAI002 NHI5 NIST-MS2.4 T1078.004
SELECT
    call,
    permission AS subject,
    'high' AS severity,
    concat('read-only agent ', agent, CASE outcome WHEN 'denied' THEN ' tried ' ELSE ' performed ' END, permission) AS title,
    concat('its manifest holds only List and Read permissions; this one is ', level) AS why
FROM calls
WHERE agent IS NOT NULL
  AND agent_read_only
  AND outcome IN ('success', 'denied')
  AND certain
  AND level IN ('write', 'tagging', 'permissions')
  AND NOT is_read_like
  AND scope = 'out'
  AND invoked_by IS NULL
