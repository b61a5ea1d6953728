//! Address ranges of address conditions

use std::net::IpAddr;

/// A range such as `203.0.113.0/24`; a plain address is a range of one.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    V4 { bits: u32, mask: u32 },
    V6 { bits: u128, mask: u128 },
}

impl Network {
    /// `None` where it is no range.
    pub(super) fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let length = |bits_max: u32| match prefix {
            None => Some(bits_max),
            Some(text) if text.len() > 3 || !text.bytes().all(|b| b.is_ascii_digit()) => None,
            Some(text) => text.parse().ok().filter(|length| *length <= bits_max),
        };
        Some(match address.parse().ok()? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - length(32)?).unwrap_or(0);
                Network::V4 { bits: u32::from(address) & mask, mask }
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - length(128)?).unwrap_or(0);
                Network::V6 { bits: u128::from(address) & mask, mask }
            }
        })
    }

    /// Whether the address lies in the range. Versions are apart: an IPv4 range holds no IPv6 address.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Network::V4 { bits, mask }, IpAddr::V4(address)) => u32::from(address) & mask == bits,
            (Network::V6 { bits, mask }, IpAddr::V6(address)) => u128::from(address) & mask == bits,
            _ => false,
        }
    }
}
