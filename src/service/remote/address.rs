//! Which addresses may be dialled. Pure tables; nothing here resolves a name or opens a socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a fetch may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The public internet only.
    Global,
    /// The public internet and this machine (development).
    GlobalOrLoopback,
    /// This machine only: what plain http is limited to.
    Loopback,
}

impl Reach {
    /// Whether `address` may be dialled.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Reach::Global => is_global(address),
            Reach::GlobalOrLoopback => is_global(address) || is_loopback(address),
            Reach::Loopback => is_loopback(address),
        }
    }
}

/// Whether `address` is this machine, also when written as an IPv4-mapped IPv6 address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether `address` belongs to the public internet. Default deny: IPv6 is global only inside
/// `2000::/3`, and a form that carries an IPv4 address is judged by the address it carries.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => match carried_v4(v6) {
            Some(v4) => is_global_v4(v4),
            None => is_global_v6(v6),
        },
    }
}

/// The special-purpose IPv4 blocks (RFC 6890 and its registry) and multicast.
#[expect(clippy::match_same_arms, reason = "one arm for each block of the registries")]
fn is_global_v4(v4: Ipv4Addr) -> bool {
    let special = match v4.octets() {
        // "this network", private, loopback, link-local (cloud metadata lives there)
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..=31).contains(&second),
        // RFC 6598: carrier-grade NAT
        [100, second, ..] => (64..=127).contains(&second),
        // protocol assignments, documentation (RFC 5737), 6to4 relays (RFC 7526)
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => true,
        // RFC 2544: benchmarking
        [198, 18 | 19, ..] => true,
        // multicast, reserved, broadcast
        [first, ..] => first >= 224,
    };
    !special
}

#[expect(clippy::match_same_arms, reason = "one arm for each block of the registries")]
fn is_global_v6(v6: Ipv6Addr) -> bool {
    match v6.segments() {
        // protocol assignments: Teredo, ORCHID, benchmarking … (RFC 2928)
        [0x2001, second, ..] if second < 0x0200 => false,
        // documentation (RFC 3849, RFC 9637)
        [0x2001, 0x0db8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // 6to4 (deprecated by RFC 7526): a tunnel to whatever IPv4 address it carries
        [0x2002, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// The IPv4 address that an IPv4-mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`, RFC 6052)
/// address stands for. The local-use NAT64 block (RFC 8215) is left out, so it is never global.
fn carried_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [head @ .., a, b, c, d] = v6.octets();
    let carries = matches!(
        head,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] | [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    carries.then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_addresses_that_are_not_global_are_refused() {
        for raw in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            let address: IpAddr = raw.parse().unwrap();
            assert!(!Reach::Global.allows(address), "{raw}");
        }
    }

    #[test]
    fn global_addresses_are_allowed() {
        for raw in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.254",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "3fff:1000::1",
        ] {
            let address: IpAddr = raw.parse().unwrap();
            assert!(Reach::Global.allows(address), "{raw}");
            assert!(!Reach::Loopback.allows(address), "{raw}");
        }
    }

    #[test]
    fn loopback_is_reached_only_when_allowed() {
        for raw in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = raw.parse().unwrap();
            assert!(!Reach::Global.allows(address), "{raw}");
            assert!(Reach::GlobalOrLoopback.allows(address), "{raw}");
            assert!(Reach::Loopback.allows(address), "{raw}");
        }
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(!Reach::GlobalOrLoopback.allows(private));
    }
}
