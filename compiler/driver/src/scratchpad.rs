//! Places of scratch variables in a scratchpad that is made of pages (`--hbm-scratchpad-page-size`).
//!
//! A variable that reaches over the end of a page gets memory of its own from the runtime. So each that would is moved to the
//! start of the next page, and with it everything behind it. What begins later is never moved less, so variables
//! that did not overlap still do not.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::isa::{Program, VarKind};

/// Moves scratch variables so that each lies within a page of `page` bytes.
///
/// # Errors
/// NCC_EOOM002 if one is larger than a page.
pub fn fit(program: &mut Program, page: u64) -> Result<()> {
    // Largest variable at each offset.
    let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
    for var in &program.vars {
        let VarKind::Scratch { offset } = var.kind else {
            continue;
        };
        if var.bytes > page {
            let text = format!(
                "scratch variable `{}` takes {} bytes; a scratchpad page has {page}",
                var.name, var.bytes
            );
            return Err(
                Diagnostic::error(Code::Ncc("EOOM002"), text).help("give a larger `--hbm-scratchpad-page-size`")
            );
        }
        let largest = starts.entry(offset).or_default();
        *largest = var.bytes.max(*largest);
    }
    let mut moved = BTreeMap::new();
    let mut shift = 0;
    for (start, largest) in starts {
        let within = (start + shift) % page;
        if within + largest > page {
            shift += page - within;
        }
        moved.insert(start, start + shift);
    }
    for var in &mut program.vars {
        if let VarKind::Scratch { offset } = &mut var.kind
            && let Some(to) = moved.get(offset)
        {
            *offset = *to;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrite_ir::isa::Var;

    use super::*;

    fn program(vars: &[(u64, u64)]) -> Program {
        let mut program = Program::new("trn1");
        program.vars = vars
            .iter()
            .map(|&(offset, bytes)| Var {
                name: format!("v{offset}"),
                kind: VarKind::Scratch { offset },
                bytes,
                data: None,
            })
            .collect();
        program
    }

    fn offsets(program: &Program) -> Vec<u64> {
        let all = program.vars.iter().filter_map(|v| match v.kind {
            VarKind::Scratch { offset } => Some(offset),
            _ => None,
        });
        all.collect()
    }

    #[test]
    fn nothing_moves_that_lies_within_a_page() {
        let mut p = program(&[(0, 60), (60, 40), (100, 100)]);
        fit(&mut p, 100).unwrap();
        assert_eq!(offsets(&p), [0, 60, 100]);
    }

    #[test]
    fn what_reaches_over_the_end_begins_the_next_page_and_the_rest_follows() {
        let vars = [(0, 60), (60, 50), (60, 10), (110, 20), (130, 70), (40, 20)];
        let mut p = program(&vars);
        fit(&mut p, 100).unwrap();
        assert_eq!(offsets(&p), [0, 100, 100, 150, 200, 40]);
        // Those that were apart still are.
        let new = offsets(&p);
        for (i, a) in vars.iter().enumerate() {
            for (j, b) in vars.iter().enumerate() {
                if a.0 + a.1 <= b.0 {
                    assert!(new[i] + a.1 <= new[j], "{i} and {j}");
                }
            }
        }
        assert!(new.iter().zip(&vars).all(|(o, v)| o % 100 + v.1 <= 100));
    }

    #[test]
    fn a_variable_larger_than_a_page_is_refused() {
        let error = fit(&mut program(&[(0, 101)]), 100).unwrap_err();
        assert_eq!(error.code, Code::Ncc("EOOM002"));
    }
}
