//! Draws that a test decides.

/// The draw of one request: which destination of a split it goes to, and which mirrors get a copy.
///
/// As an extension of a request it takes the place of chance. A split reads it as `roll % total`, where total is the
/// sum of the weights, so that with weights 95 and 5 the rolls 0 to 94 are the first destination; a mirror of 25 %
/// is hit where `roll % 1_000_000` is below 250,000, as in Envoy, which has one draw for both.
///
/// ```
/// # use mesh_tower::testing::Roll;
/// let request = http::Request::get("http://reviews:9080/1").extension(Roll(96)).body(mesh_tower::Body::empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll(pub u64);

/// What shares of requests are measured in.
const MILLION: u64 = 1_000_000;

/// Draws for `count` requests that use each of the `total` rolls of a split equally often, if `count` is a multiple of
/// it, and are evenly spread over the shares of mirrors at the same time.
pub(super) fn spread(count: u64, total: u64) -> impl Iterator<Item = Roll> {
    let (count, total) = (count.max(1), total.max(1));
    let common = greatest_common_divisor(total, MILLION);
    (0..count).map(move |n| {
        let roll = n % total;
        let even = n * MILLION / count;
        // The nearest point that both can agree on.
        let share = even - even % common + roll % common;
        let draw = (0..total / common).map(|turn| share + turn * MILLION).find(|draw| draw % total == roll);
        Roll(draw.unwrap_or(roll))
    })
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(count: u64, total: u64) -> Vec<u64> {
        let mut counts = vec![0; total as usize];
        spread(count, total).for_each(|roll| counts[(roll.0 % total) as usize] += 1);
        counts
    }

    #[test]
    fn each_roll_of_a_split_is_used_equally_often() {
        assert_eq!(used(1_000, 100), vec![10; 100]);
        assert_eq!(used(21, 7), vec![3; 7]);
        assert_eq!(used(3, 1), [3]);
    }

    #[test]
    fn shares_of_mirrors_are_exact_too_and_apart_from_the_split() {
        let rolls: Vec<u64> = spread(2_000, 100).map(|roll| roll.0).collect();
        let mirrored = |roll: &&u64| **roll % MILLION < MILLION / 4;
        assert_eq!(rolls.iter().filter(mirrored).count(), 500);
        assert_eq!(rolls.iter().filter(mirrored).filter(|roll| **roll % 100 >= 95).count(), 25);
    }
}
