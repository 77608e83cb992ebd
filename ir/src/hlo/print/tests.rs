use super::*;
use crate::hlo::parse::parse;
use crate::text::tests::corpus;

/// Whether two modules are equal but for locations.
fn assert_same(a: &Module, b: &Module) {
    assert_eq!(a.name, b.name);
    assert_eq!(a.attrs, b.attrs);
    assert_eq!(a.symbols, b.symbols);
    assert_eq!(a.funcs.len(), b.funcs.len());
    for (x, y) in a.funcs.iter().zip(&b.funcs) {
        assert_eq!(
            (&x.name, x.public, &x.params, &x.results, &x.attrs),
            (&y.name, y.public, &y.params, &y.results, &y.attrs)
        );
        let (mut left, mut right) = (Vec::new(), Vec::new());
        x.walk(x.body(), &mut |f, op| {
            left.push((
                f.op(op).clone(),
                f.op(op).results.iter().map(|&v| f.ty(v).clone()).collect::<Vec<_>>(),
            ))
        });
        y.walk(y.body(), &mut |f, op| {
            right.push((
                f.op(op).clone(),
                f.op(op).results.iter().map(|&v| f.ty(v).clone()).collect::<Vec<_>>(),
            ))
        });
        assert_eq!(left.len(), right.len());
        for ((l, lt), (r, rt)) in left.iter().zip(&right) {
            assert_eq!((&l.kind, &l.attrs, lt), (&r.kind, &r.attrs, rt));
            assert_eq!((&l.operands, &l.results), (&r.operands, &r.results));
        }
        assert_eq!(x.region(x.body()).results, y.region(y.body()).results);
    }
}

#[test]
fn the_corpus_is_printed_and_read_back_equal() {
    let mut same = 0;
    let files = corpus();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let module = parse(&text).unwrap();
        for generic in [false, true] {
            let printed = print_with(
                &module,
                PrintOptions {
                    generic,
                    locations: false,
                },
            );
            let again = parse(&printed).unwrap_or_else(|errors| panic!("{}: {}\n{printed}", path.display(), errors[0]));
            assert_same(&module, &again);
            if !generic && path.ends_with("model.stablehlo.mlir") {
                same += usize::from(printed == text);
                if printed != text && std::env::var_os("SHOW_DIFFERENCES").is_some() {
                    let (a, b) = text
                        .lines()
                        .zip(printed.lines())
                        .find(|(a, b)| a != b)
                        .unwrap_or(("", ""));
                    println!("{}:\n< {:.200}\n> {:.200}", path.display(), a, b);
                }
            }
        }
    }
    println!(
        "{} corpus files are printed and read back equal, {same} of them to the letter",
        files.len()
    );
}
