//! Where a call came from, as Azure and Google Cloud write it.

use std::net::{IpAddr, SocketAddr};

/// An address without its port, and what kind it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub text: String,
    /// `ip`, or `internal` for a host inside the cloud that the log names without an address.
    pub kind: Option<&'static str>,
}

impl Address {
    pub(crate) fn of(told: &str) -> Address {
        let told = told.trim();
        let ip = told.parse::<IpAddr>().or_else(|_| told.parse::<SocketAddr>().map(|socket| socket.ip()));
        match ip {
            Ok(ip) => Address { text: ip.to_string(), kind: Some("ip") },
            // https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog#RequestMetadata
            Err(_) if matches!(told, "private" | "gce-internal-ip") => {
                Address { text: told.to_owned(), kind: Some("internal") }
            }
            Err(_) => Address { text: told.to_owned(), kind: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_an_address() {
        let of = |text: &str| {
            let address = Address::of(text);
            (address.text, address.kind)
        };
        assert_eq!(of("203.0.113.9:28915"), ("203.0.113.9".to_owned(), Some("ip")));
        assert_eq!(of("[2001:db8::1]:443"), ("2001:db8::1".to_owned(), Some("ip")));
        assert_eq!(of("2001:DB8::1"), ("2001:db8::1".to_owned(), Some("ip")));
        assert_eq!(of("private"), ("private".to_owned(), Some("internal")));
        assert_eq!(of("somewhere"), ("somewhere".to_owned(), None));
    }
}
