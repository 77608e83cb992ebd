//! Indexing maps: `affine_map<(d0, d1) -> (d0 * 2 + d1, 0)>`, with results that are sums of dimensions.

/// A linear expression: factor of each dimension, and a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linear {
    pub(super) factors: Vec<i64>,
    pub(super) constant: i64,
}

impl Linear {
    /// The dimension, if the expression is one by itself.
    pub(super) fn dimension(&self) -> Option<usize> {
        let mut used = self.factors.iter().enumerate().filter(|(_, f)| **f != 0);
        match (used.next(), used.next()) {
            (Some((d, 1)), None) if self.constant == 0 => Some(d),
            _ => None,
        }
    }

    /// The dimensions in it.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + '_ {
        self.factors
            .iter()
            .enumerate()
            .filter(|(_, f)| **f != 0)
            .map(|(d, _)| d)
    }
}

/// The results of a map, by dimension of the operand.
pub(super) type Map = Vec<Linear>;

/// Reads a map. Nothing if it has symbols, divisions or anything else that is not linear.
pub(super) fn parse(text: &str) -> Option<Map> {
    let text = text.trim();
    let inner = text.strip_prefix("affine_map<")?.strip_suffix('>')?;
    let (arguments, results) = inner.split_once("->")?;
    let arguments = arguments.trim();
    if arguments.contains('[') {
        return None;
    }
    let rank = arguments
        .trim_matches(['(', ')'])
        .split(',')
        .filter(|name| !name.trim().is_empty())
        .count();
    let results = results.trim().strip_prefix('(')?.strip_suffix(')')?;
    if results.trim().is_empty() {
        return Some(Vec::new());
    }
    results.split(',').map(|result| linear(result, rank)).collect()
}

fn linear(text: &str, rank: usize) -> Option<Linear> {
    if text.contains("mod") || text.contains("div") || text.contains('(') {
        return None;
    }
    let mut out = Linear {
        factors: vec![0; rank],
        constant: 0,
    };
    // `d0 - d1 * 2` as `d0 + -d1 * 2`.
    for term in text
        .replace('-', "+-")
        .split('+')
        .map(str::trim)
        .filter(|term| !term.is_empty())
    {
        let (sign, term) = match term.strip_prefix('-') {
            Some(rest) => (-1, rest.trim()),
            None => (1, term),
        };
        let (mut factor, mut dimension) = (sign, None);
        for part in term.split('*').map(str::trim) {
            match part.strip_prefix('d') {
                Some(number) if dimension.is_none() => dimension = Some(number.parse::<usize>().ok()?),
                Some(_) => return None,
                None => factor *= part.parse::<i64>().ok()?,
            }
        }
        match dimension {
            Some(d) => *out.factors.get_mut(d)? += factor,
            None => out.constant += factor,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_linear_expressions() {
        let map = parse("affine_map<(d0, d1, d2) -> (d0 * 2 + d2 - 1, d1, 0)>").unwrap();
        assert_eq!((map[0].factors.clone(), map[0].constant), (vec![2, 0, 1], -1));
        assert_eq!(
            (map[0].dimension(), map[1].dimension(), map[2].dimension()),
            (None, Some(1), None)
        );
        assert_eq!(parse("affine_map<() -> ()>"), Some(Vec::new()));
        assert_eq!(parse("affine_map<(d0)[s0] -> (d0)>"), None);
        assert_eq!(parse("affine_map<(d0) -> (d0 floordiv 2)>"), None);
    }
}
