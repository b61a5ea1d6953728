//! Calls that must come through a service of the cloud

use policy::context::{Context, Fact};
use policy::truth::Truth;

/// What an entry with `via` asks for. `kms:ViaService` is `dynamodb.eu-west-1.amazonaws.com`, `aws:CalledVia`
/// `dynamodb.amazonaws.com`.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
pub(super) const KEYS: [&str; 3] = ["aws:CalledVia", "kms:ViaService", "aws:ViaAWSService"];

/// Whether the call came through one of the services; no service asked for: any call does.
pub(super) fn truth(services: &[String], context: &Context) -> Truth {
    if services.is_empty() {
        return Truth::True;
    }
    let meant = |host: &String| services.iter().any(|service| is_of(host, service));
    let [chain, through, by_service] = KEYS.map(|key| context.fact(key));
    let says = |fact: &Fact| match fact {
        Fact::Values(hosts) => Truth::from(hosts.iter().any(meant)),
        Fact::Absent => Truth::False,
        Fact::Unknown => Truth::Unknown,
    };
    // A direct call comes through nothing, whatever else is not known.
    if matches!(by_service, Fact::Values(values) if values.iter().any(|value| value == "false")) {
        return Truth::False;
    }
    match (says(chain), says(through)) {
        (Truth::True, _) | (_, Truth::True) => Truth::True,
        (Truth::Unknown, Truth::Unknown) => Truth::Unknown,
        // One that is known and names another service, or none, is the answer. KMS alone knows `kms:ViaService`, so
        // its absence says nothing of others.
        (Truth::Unknown, Truth::False) if matches!(through, Fact::Absent) => Truth::Unknown,
        _ => Truth::False,
    }
}

/// `dynamodb`, `dynamodb.amazonaws.com` or `dynamodb.eu-west-1.amazonaws.com` is the service `dynamodb`.
fn is_of(host: &str, service: &str) -> bool {
    let name = |text: &str| text.split('.').next().unwrap_or(text).to_ascii_lowercase();
    name(host) == name(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(facts: &[(&str, Fact)]) -> Truth {
        let mut context = Context::partial();
        for (key, fact) in facts {
            context.set(key, fact.clone());
        }
        truth(&["dynamodb".to_owned()], &context)
    }

    #[test]
    fn the_chain_of_services_tells() {
        let chain = |hosts: &[&str]| Fact::Values(hosts.iter().map(|host| (*host).to_owned()).collect());
        assert_eq!(with(&[("aws:CalledVia", chain(&["dynamodb.amazonaws.com"]))]), Truth::True);
        let through = chain(&["cloudformation.amazonaws.com", "dynamodb.amazonaws.com"]);
        assert_eq!(with(&[("aws:CalledVia", through)]), Truth::True);
        assert_eq!(with(&[("aws:CalledVia", chain(&["athena.amazonaws.com"]))]), Truth::False);
        assert_eq!(with(&[("aws:CalledVia", Fact::Absent)]), Truth::False);
    }

    #[test]
    fn kms_names_the_service_with_its_region() {
        let through = |host: &str| with(&[("kms:ViaService", Fact::one(host))]);
        assert_eq!(through("dynamodb.eu-west-1.amazonaws.com"), Truth::True);
        assert_eq!(through("s3.eu-west-1.amazonaws.com"), Truth::False);
    }

    #[test]
    fn a_direct_call_comes_through_nothing_and_silence_is_unknown() {
        assert_eq!(with(&[("aws:ViaAWSService", Fact::one("false"))]), Truth::False);
        assert_eq!(with(&[("aws:ViaAWSService", Fact::one("true"))]), Truth::Unknown);
        assert_eq!(with(&[]), Truth::Unknown);
        assert_eq!(with(&[("kms:ViaService", Fact::Absent)]), Truth::Unknown);
    }
}
