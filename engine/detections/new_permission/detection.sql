-- id: BL02
-- family: baseline
-- about: An agent's identity used a permission for the first time
-- window: day
-- settled: baseline
-- frameworks: ASI01 ASI10 NIST-MS2.4 T1078.004
-- Whether the identity is known well enough is settled when the batch is committed: late history may tell.
SELECT
    call,
    concat(permission, ' ', actor) AS subject,
    CASE
        WHEN is_destructive OR is_credential_minting OR level = 'permissions' THEN 'high'
        WHEN level IN ('write', 'tagging') THEN 'medium'
        ELSE 'low'
    END AS severity,
    concat(agent, ' used ', permission, ' for the first time') AS title,
    concat('not used by this identity on any day of the look-back before; ', CASE scope
        WHEN 'in' THEN 'its manifest declares it'
        WHEN 'out' THEN 'its manifest does not declare it'
        ELSE 'whether its manifest declares it cannot be told' END) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND first_use
  AND invoked_by IS NULL
  AND coalesce(scope_reason, '') <> 'implicit'
