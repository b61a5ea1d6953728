-- id: PR02
-- family: privilege
-- about: An agent made credentials and does not declare that it may
-- window: day
-- frameworks: ASI03 AAI001 NHI2 NHI7 T1098.001 T1136.003
SELECT
    call,
    permission AS subject,
    'critical' AS severity,
    concat(agent, ' made credentials with ', permission) AS title,
    'credentials made by an agent outlive its session and its revocation; its manifest does not declare this' AS why
FROM calls
WHERE agent IS NOT NULL
  AND is_credential_minting
  AND certain
  AND outcome = 'success'
  AND scope = 'out'
