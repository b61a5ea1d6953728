-- id: policy_unparsed
-- family: policy
-- about: A policy was written that cannot be read, so what it grants is unknown
-- window: day
-- frameworks: MAESTRO-L6 NIST-MS2.4
-- AWS stores no policy that it cannot read: either the log left the document out, or we do not know a part of it.
SELECT
    call,
    policy_fault AS subject,
    'medium' AS severity,
    'a policy was written that remit cannot read' AS title,
    concat('until it is read, what it grants is unknown and no finding is made of it: ', policy_fault) AS why
FROM calls
WHERE policy_fault IS NOT NULL
  AND outcome = 'success'
  AND certain
