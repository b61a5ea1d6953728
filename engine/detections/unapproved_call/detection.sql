-- id: PR07
-- family: privilege
-- about: An agent used what it may use only inside an approved window, and no window was open
-- window: day
-- frameworks: ASI09 ASI03 AAI012 NHI7 T1548.005
SELECT
    call,
    permission AS subject,
    CASE WHEN is_destructive THEN 'critical' ELSE 'high' END AS severity,
    concat(agent, ' used ', permission, ' without an approval') AS title,
    concat('its manifest allows this only inside a window that somebody approved, and none was open: ', scope_statement) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND scope_reason = 'outside_approval'
  AND invoked_by IS NULL
