//! `interpreter.run_parallel` of StableHLO's test programs: functions of the module as the programs of a grid of
//! devices.

use std::collections::VecDeque;

use ferrite_ir::diag::Result;
use ferrite_ir::hlo::{Attr, CustomCall, FuncId};

use crate::devices::World;
use crate::eval::{Frame, Value};
use crate::invalid;

/// Runs the called functions, replica by replica, each on a device of its own. Operands and results are those of all
/// programs in that order.
pub(crate) fn run_parallel(frame: &Frame, call: &CustomCall, operands: Vec<Value>) -> Result<Vec<Value>> {
    let Attr::Dict(config) = &call.backend_config else {
        return Err(invalid("`interpreter.run_parallel` needs the sizes of its grid"));
    };
    let size = |key: &str| {
        let size = config.get(key).and_then(Attr::as_int);
        size.and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| invalid(format!("`interpreter.run_parallel` needs `{key}`")))
    };
    let (replicas, partitions) = (size("num_replicas")?, size("num_partitions")?);
    let interp = frame.interp;
    let programs: Vec<FuncId> = call
        .called_computations
        .iter()
        .map(|name| interp.find(name))
        .collect::<Result<_>>()?;
    if programs.len() != replicas.saturating_mul(partitions) {
        return Err(invalid(format!(
            "`interpreter.run_parallel` has {} programs for {replicas} x {partitions} devices",
            programs.len()
        )));
    }
    let infeed: VecDeque<FuncId> = match config.get("infeed") {
        Some(Attr::Array(names)) => names
            .iter()
            .map(|name| interp.find(name.as_str().unwrap_or_default()))
            .collect::<Result<_>>()?,
        _ => VecDeque::new(),
    };
    let mut left = operands.into_iter();
    let lists: Vec<Vec<Value>> = programs
        .iter()
        .map(|&id| left.by_ref().take(interp.module.func(id).args().len()).collect())
        .collect();
    if left.next().is_some() {
        return Err(invalid(
            "`interpreter.run_parallel` has more operands than its programs take",
        ));
    }
    let results = World::run(replicas, partitions, Some(infeed), |device| {
        let id = device.id();
        interp.call(programs[id], lists[id].clone(), frame.depth, device)
    })?;
    Ok(results.concat())
}
