//! Where a call may come from: address ranges and VPC endpoints

use std::fmt;
use std::net::IpAddr;

/// One network of `bounds.networks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// `10.20.0.0/16`, `2001:db8::/32`, or one address
    Range {
        /// The first address
        base: IpAddr,
        /// How many bits of it count
        bits: u8,
    },
    /// `vpce-0abc123`
    Endpoint(String),
    /// `vpc-0abc123`: the log does not name it
    Vpc(String),
}

impl Network {
    /// Reads an entry of `bounds.networks`.
    ///
    /// # Errors
    /// What is wrong and what can stand there.
    pub fn parse(text: &str) -> Result<Network, String> {
        if text.starts_with("vpce-") {
            return Ok(Network::Endpoint(text.to_owned()));
        }
        if text.starts_with("vpc-") {
            return Ok(Network::Vpc(text.to_owned()));
        }
        let fault = || {
            format!(
                "`{text}` is no network. Write a range (`10.20.0.0/16`, `2001:db8::/32`), an address, `vpce-...` or `vpc-...`"
            )
        };
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| fault())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(fault)?,
        };
        if masked(base, bits) != number(base) {
            return Err(format!("`{text}` has bits set behind its /{bits}: write the range's first address"));
        }
        Ok(Network::Range { base, bits })
    }

    /// Whether an address lies in it; endpoints and VPCs hold no address that we know.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match self {
            Network::Range { base, bits } => {
                // `::ffff:10.0.0.1` is 10.0.0.1.
                let address = address.to_canonical();
                base.is_ipv4() == address.is_ipv4() && masked(address, *bits) == masked(*base, *bits)
            }
            Network::Endpoint(_) | Network::Vpc(_) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Range { base, bits } => write!(f, "{base}/{bits}"),
            Network::Endpoint(id) | Network::Vpc(id) => f.write_str(id),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn masked(address: IpAddr, bits: u8) -> u128 {
    let length = if address.is_ipv4() { 32 } else { 128u32 };
    let free = length.saturating_sub(u32::from(bits));
    let number = number(address);
    number.checked_shr(free).and_then(|kept| kept.checked_shl(free)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().holds(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_its_addresses_and_not_the_next() {
        assert!(holds("10.20.0.0/16", "10.20.255.255") && !holds("10.20.0.0/16", "10.21.0.0"));
        assert!(holds("203.0.113.7", "203.0.113.7") && !holds("203.0.113.7", "203.0.113.8"));
        assert!(holds("0.0.0.0/0", "203.0.113.8") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "2001:db9::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    }

    #[test]
    fn endpoints_and_vpcs_hold_no_address() {
        assert!(!holds("vpce-0abc", "10.0.0.1") && !holds("vpc-0abc", "10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["10.0.0.0/33", "10.0.0/8", "office", "10.0.0.0/x", "2001:db8::/129", ""] {
            assert!(Network::parse(text).unwrap_err().contains("is no network"), "{text}");
        }
        let inside = Network::parse("10.20.1.0/16").unwrap_err();
        assert!(inside.contains("first address"), "{inside}");
    }
}
