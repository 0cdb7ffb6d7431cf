//! What the fuzz targets do with the bytes that they are given.

mod authorization;
mod check_answer;
mod framing;
mod head;
mod opening;
mod path;
mod spiffe_id;
mod token;

pub use self::authorization::authorization;
pub use self::check_answer::check_answer;
pub use self::framing::framing;
pub use self::head::head;
pub use self::opening::opening;
pub use self::path::path;
pub use self::spiffe_id::spiffe_id;
pub use self::token::token;

#[cfg(test)]
mod tests {
    use mesh_core::{Rng, SplitMix64};

    #[test]
    fn the_targets_take_random_bytes() {
        let mut rng = SplitMix64::new(1);
        for _ in 0..20_000 {
            let length = rng.below(120);
            // Half of them of few characters, which is what texts are like.
            let few = b"/.%2eE;\\ab*,:@=\n \tA0";
            let is_text = rng.below(2) == 0;
            let byte = |rng: &mut SplitMix64| match is_text {
                true => few[rng.below(few.len() as u64) as usize],
                false => rng.next_u64() as u8,
            };
            let bytes: Vec<u8> = (0..length).map(|_| byte(&mut rng)).collect();
            super::path(&bytes);
            super::token(&bytes);
            super::authorization(&bytes);
            super::check_answer(&bytes);
            super::framing(&bytes);
            super::head(&bytes);
            super::opening(&bytes);
            super::spiffe_id(&bytes);
        }
    }
}
