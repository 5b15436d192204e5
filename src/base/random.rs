//! Chance: the system's, or a seeded stream that makes a test repeatable.

use std::{cell::RefCell, mem, sync::Mutex};

use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};

/// Where random bytes come from.
pub enum Random {
    /// The operating system.
    System(SystemRandom),
    /// SHA-256 over a seed and a counter. For tests only: anyone with the seed knows the stream.
    Seeded(Mutex<(u64, u64)>),
}

/// The operating system had no random bytes to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Random bytes drawn ahead: asking the system costs half a microsecond each time, and a request
/// draws two or three ids. Bytes are wiped as they are handed out.
struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

/// Enough for a dozen requests, and less than anybody would miss.
const POOL_BYTES: usize = 512;

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

impl Pool {
    fn fill(&mut self, system: &SystemRandom, out: &mut [u8]) -> Result<(), NoRandomness> {
        if out.len() > POOL_BYTES {
            return system.fill(out).map_err(|_| NoRandomness);
        }
        if POOL_BYTES.saturating_sub(self.used) < out.len() {
            system.fill(&mut self.bytes).map_err(|_| NoRandomness)?;
            self.used = 0;
        }
        let fresh = self.bytes.iter_mut().skip(self.used);
        for (to, from) in out.iter_mut().zip(fresh) {
            *to = mem::take(from);
        }
        self.used = self.used.saturating_add(out.len());
        Ok(())
    }
}

impl Random {
    /// The operating system's source.
    pub fn system() -> Random {
        Random::System(SystemRandom::new())
    }

    /// A repeatable stream.
    pub fn seeded(seed: u64) -> Random {
        Random::Seeded(Mutex::new((seed, 0)))
    }

    /// `N` fresh bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0_u8; N];
        match self {
            Random::System(system) => POOL.with_borrow_mut(|pool| pool.fill(system, &mut out))?,
            Random::Seeded(state) => {
                let mut state = state.lock().map_err(|_| NoRandomness)?;
                for chunk in out.chunks_mut(digest::SHA256_OUTPUT_LEN) {
                    state.1 = state.1.wrapping_add(1);
                    let mut input = [0_u8; 16];
                    input[..8].copy_from_slice(&state.0.to_be_bytes());
                    input[8..].copy_from_slice(&state.1.to_be_bytes());
                    let block = digest::digest(&digest::SHA256, &input);
                    for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                        *to = *from;
                    }
                }
            }
        }
        Ok(out)
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Random::System(_) => "Random::System",
            Random::Seeded(_) => "Random::Seeded",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_byte_is_handed_out_twice_nor_left_behind() {
        let random = Random::system();
        let drawn: HashSet<[u8; 16]> = (0..10_000).map(|_| random.bytes().unwrap()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert_ne!(random.bytes::<600>().unwrap(), [0; 600]);
        POOL.with_borrow(|pool| assert!(pool.bytes.iter().take(pool.used).all(|b| *b == 0)));
    }
}
