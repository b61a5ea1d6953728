-- id: SC04
-- family: scope
-- about: A declared permission used on a resource that is not declared
-- window: day
-- frameworks: ASI02 ASI03 AAI002 NHI5 MAESTRO-L2 MAESTRO-L4 NIST-MS2.4 T1530
SELECT
    call,
    permission AS subject,
    CASE WHEN level = 'list' THEN 'medium' ELSE 'high' END AS severity,
    concat(agent, ' used ', permission, ' on a resource that it does not declare') AS title,
    concat('the manifest declares the permission on other resources', CASE grant
        WHEN 'allowed' THEN concat('; its policies allow this one too, through ', grant_why)
        ELSE '' END) AS why
FROM calls
WHERE agent IS NOT NULL
  AND outcome = 'success'
  AND certain
  AND scope = 'out'
  AND scope_reason = 'other_resource'
  AND invoked_by IS NULL
