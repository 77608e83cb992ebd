//! The last line of defence: a panic becomes a [`Code::Bug`] diagnostic with the place where it happened.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use ferrite_ir::diag::{Code, Diagnostic};

thread_local! {
    /// Place and text of the last panic of this thread, while it is guarded.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<u32> = const { RefCell::new(0) };
}

/// Runs `work` and turns a panic inside it into a diagnostic. What `work` changed is to be thrown away then.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Vec<Diagnostic>>) -> Result<T, Vec<Diagnostic>> {
    install();
    GUARDED.with_borrow_mut(|depth| *depth += 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.with_borrow_mut(|depth| *depth -= 1);
    outcome.unwrap_or_else(|payload| {
        let text = LAST
            .with_borrow_mut(Option::take)
            .unwrap_or_else(|| payload_text(&*payload));
        Err(vec![Diagnostic::bug(text)])
    })
}

/// Whether any of `diagnostics` is a defect of ours.
pub fn is_bug(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.code == Code::Bug)
}

/// Replaces the panic hook once: guarded threads keep the message instead of printing it.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if GUARDED.with_borrow(|&depth| depth > 0) {
                LAST.with_borrow_mut(|last| *last = Some(describe(info)));
            } else {
                before(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = payload_text(info.payload());
    match info.location() {
        Some(place) => format!("{text} (at {}:{})", place.file(), place.line()),
        None => text,
    }
}

fn payload_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_bug_with_its_place() {
        let outcome: Result<(), _> = guarded(|| panic!("broken invariant {}", 7));
        let diagnostics = outcome.unwrap_err();
        assert!(is_bug(&diagnostics));
        assert!(diagnostics[0].message.contains("broken invariant 7"));
        assert!(diagnostics[0].message.contains("guard.rs"));
    }

    #[test]
    fn errors_and_results_pass_through() {
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
        let error = guarded(|| Err::<(), _>(vec![Diagnostic::error(Code::Io, "x")])).unwrap_err();
        assert!(!is_bug(&error));
    }
}
