//! Front ends: everything that becomes ir::hlo.
