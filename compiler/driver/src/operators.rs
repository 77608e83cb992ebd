//! The operators that Ferrite compiles, by the names of XLA's builder.

/// Names for `neuronx-cc list-operators`, sorted. What an operator's form may still be refused for is said when it is
/// compiled.
pub fn operators() -> &'static [&'static str] {
    &OPERATORS
}

const OPERATORS: [&str; 1] = ["Add"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_repeats() {
        assert!(OPERATORS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
