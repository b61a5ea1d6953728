-- id: DG01
-- family: delegation
-- about: An agent became a role that it does not declare, or somebody became an agent who is not declared to
-- window: day
-- frameworks: ASI03 ASI07 AAI007 NHI5 NHI9 MAESTRO-L7 T1548.005 T1550.001
SELECT
    call,
    concat(permission, ' ', coalesce(hop_into, agent)) AS subject,
    CASE outcome WHEN 'success' THEN 'high' ELSE 'medium' END AS severity,
    CASE
        WHEN hop_into IS NULL THEN concat(agent, ' became a role that its manifest does not list')
        ELSE concat(coalesce(agent, actor), CASE outcome WHEN 'success' THEN ' became ' ELSE ' tried to become ' END, hop_into)
    END AS title,
    CASE
        WHEN hop_into IS NULL THEN 'the manifest lists the roles that the agent may become in `assume.to`, and this one is not among them'
        ELSE concat('the manifest of ', hop_into, ' lists who may become it in `assume.from`, and the caller is not among them')
    END AS why
FROM calls
WHERE certain
  AND outcome IN ('success', 'denied')
  AND (hop_into IS NOT NULL OR (agent IS NOT NULL AND scope_reason = 'undeclared_hop' AND outcome = 'success'))
