//! Chance: the system's, or a seeded stream that makes a test repeatable.

use std::sync::Mutex;

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
            Random::System(system) => system.fill(&mut out).map_err(|_| NoRandomness)?,
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
