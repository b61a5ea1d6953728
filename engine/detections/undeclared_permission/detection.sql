-- id: SC01
-- family: scope
-- about: A call that succeeded and that no entry of the agent's manifest covers
-- window: day
-- frameworks: ASI02 ASI03 AAI001 NHI5 MAESTRO-L4 MAESTRO-L6 NIST-MS2.4 NIST-MG4.1 T1078.004
-- A service that calls on the agent's behalf acts for what the agent asked for: that call is judged, not this one.
SELECT
    call,
    permission AS subject,
    CASE
        WHEN level IN ('write', 'permissions', 'tagging') THEN 'high'
        WHEN scope_reason = 'denied_by_manifest' THEN 'high'
        WHEN level = 'list' THEN 'low'
        ELSE 'medium'
    END AS severity,
    concat(agent, ' called ', permission, CASE
        WHEN scope_reason = 'denied_by_manifest' THEN ', which its manifest denies'
        ELSE ' outside its declared scope' END) AS title,
    concat(CASE
        WHEN scope_reason = 'denied_by_manifest' THEN concat('the manifest denies it: ', scope_statement)
        ELSE 'no entry of its manifest covers this permission' END,
        CASE grant
            WHEN 'allowed' THEN concat('; its policies allow it through ', grant_why)
            WHEN 'denied' THEN '; the policies we know do not allow it, yet it succeeded'
            ELSE '' END) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND scope = 'out'
  AND scope_reason IN ('not_declared', 'denied_by_manifest')
  AND invoked_by IS NULL
