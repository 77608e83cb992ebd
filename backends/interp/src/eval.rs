//! Evaluation of functions and regions: values, frames, calls and limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::{DYNAMIC, Func, FuncId, Module, OpId, RegionId, Type, ValueId};
use ferrite_ir::loc::LocId;

use crate::devices::{Device, World};
use crate::plan::Plan;
use crate::tensor::Tensor;
use crate::{check_size, invalid, unsupported};

/// Calls and regions that may be nested while evaluating.
const MAX_DEPTH: usize = 200;

/// A value during evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// A token: orders effects, holds nothing.
    Token,
    /// A tuple.
    Tuple(Vec<Value>),
}

impl From<Tensor> for Value {
    fn from(t: Tensor) -> Value {
        Value::Tensor(t)
    }
}

impl Value {
    /// Appends the tensors inside, in order; tokens hold none.
    pub fn flatten(self, out: &mut Vec<Tensor>) {
        match self {
            Value::Tensor(t) => out.push(t),
            Value::Token => {}
            Value::Tuple(values) => values.into_iter().for_each(|v| v.flatten(out)),
        }
    }

    /// Whether the value has this type; dynamic dimensions accept any size.
    fn has_type(&self, ty: &Type) -> bool {
        match (self, ty) {
            (Value::Tensor(t), Type::Tensor(ty)) => {
                t.dtype() == ty.dtype
                    && t.shape().len() == ty.shape.len()
                    && t.shape().iter().zip(&ty.shape).all(|(a, b)| a == b || *b == DYNAMIC)
            }
            (Value::Token, Type::Token) => true,
            (Value::Tuple(values), Type::Tuple(types)) => {
                values.len() == types.len() && values.iter().zip(types).all(|(v, t)| v.has_type(t))
            }
            (Value::Tuple(values), Type::Future(types)) => {
                values.len() == types.len() && values.iter().zip(types).all(|(v, t)| v.has_type(t))
            }
            _ => false,
        }
    }

    /// What it is, for messages.
    fn describe(&self) -> String {
        match self {
            Value::Tensor(t) => t.ty().to_string(),
            Value::Token => "a token".to_string(),
            Value::Tuple(values) => format!("a tuple of {}", values.len()),
        }
    }
}

/// Evaluates the functions of a module. Reusable; lifetimes of values are computed once per function.
pub struct Interpreter<'m> {
    pub(crate) module: &'m Module,
    names: BTreeMap<&'m str, FuncId>,
    plans: Vec<OnceLock<Plan>>,
    pub(crate) max_iterations: u64,
    /// What each `interpreter.probe` saw, in order.
    probes: Mutex<BTreeMap<String, Vec<Tensor>>>,
}

impl<'m> Interpreter<'m> {
    /// An interpreter of a module.
    pub fn new(module: &'m Module) -> Interpreter<'m> {
        let mut names = BTreeMap::new();
        for (i, func) in module.funcs.iter().enumerate() {
            names.entry(&func.name[..]).or_insert(FuncId(i as u32));
        }
        let plans = module.funcs.iter().map(|_| OnceLock::new()).collect();
        Interpreter {
            module,
            names,
            plans,
            max_iterations: 1 << 32,
            probes: Mutex::default(),
        }
    }

    /// Refuses a `while` that runs longer than this.
    pub fn max_loop_iterations(mut self, limit: u64) -> Self {
        self.max_iterations = limit;
        self
    }

    /// Evaluates the entry function. Tuples among its parameters and results are flattened, tokens left out.
    ///
    /// # Errors
    /// If the inputs do not fit the parameters, or an operation cannot be evaluated.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.run_on(Arc::new(Device::alone()), inputs)
    }

    /// Evaluates the entry function once per device, the devices meeting at collectives. `inputs` has one list per
    /// device, replica by replica: device `r * partitions + p` is partition `p` of replica `r`. So do the results.
    ///
    /// # Errors
    /// As [`Interpreter::run`]; also if a collective can never be complete.
    pub fn run_devices(&self, replicas: usize, partitions: usize, inputs: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>> {
        if inputs.len() != replicas.saturating_mul(partitions) {
            let message = format!("{} lists of arrays for {replicas} x {partitions} devices", inputs.len());
            return Err(Diagnostic::error(ferrite_ir::diag::Code::Usage, message));
        }
        let all = World::run(replicas, partitions, None, |device| {
            let inputs = &inputs[device.id()];
            Ok(self.run_on(device, inputs)?.into_iter().map(Value::Tensor).collect())
        })?;
        let flat = |values: Vec<Value>| {
            let mut out = Vec::new();
            values.into_iter().for_each(|v| v.flatten(&mut out));
            out
        };
        Ok(all.into_iter().map(flat).collect())
    }

    fn run_on(&self, device: Arc<Device>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let Some(entry) = self.module.entry() else {
            return self.run_tests(&device, inputs);
        };
        let func = self.module.func(entry);
        let mut left = inputs.iter().cloned();
        let args = func
            .args()
            .iter()
            .map(|&v| bind(func.ty(v), &mut left))
            .collect::<Option<Vec<_>>>();
        let Some(args) = args.filter(|_| left.len() == 0) else {
            let wanted: usize = func.args().iter().map(|&v| leaves(func.ty(v))).sum();
            return Err(Diagnostic::error(
                ferrite_ir::diag::Code::Usage,
                format!("`{}` takes {wanted} arrays; {} were given", func.name, inputs.len()),
            ));
        };
        let results = self.call(entry, args, 0, device)?;
        let mut out = Vec::new();
        results.into_iter().for_each(|v| v.flatten(&mut out));
        Ok(out)
    }

    /// A module without an entry function may be a collection of tests: public functions that take nothing. All are
    /// evaluated; the results are those of all in order.
    fn run_tests(&self, device: &Arc<Device>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let module = self.module;
        let mut tests: Vec<FuncId> = (0..module.funcs.len() as u32)
            .map(FuncId)
            .filter(|&id| module.func(id).public && module.func(id).args().is_empty())
            .collect();
        // Several modules in one file each have a `main`.
        let is_main = |id: &FuncId| module.func(*id).name.ends_with(".main");
        if tests.iter().any(is_main) {
            tests.retain(is_main);
        }
        if tests.is_empty() || !inputs.is_empty() {
            return Err(invalid("the module has no entry function")
                .help("name one function `main`, or make all but one private"));
        }
        let mut out = Vec::new();
        for id in tests {
            let results = self.call(id, Vec::new(), 0, device.clone())?;
            results.into_iter().for_each(|v| v.flatten(&mut out));
        }
        Ok(out)
    }

    /// Keeps a value that a probe saw.
    pub(crate) fn probe(&self, id: &str, value: Tensor) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.entry(id.to_string()).or_default().push(value);
    }

    /// What a probe saw the so-manieth time.
    pub(crate) fn probed(&self, id: &str, time: usize) -> Option<Tensor> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.get(id)?.get(time).cloned()
    }

    /// The function with this name.
    pub(crate) fn find(&self, name: &str) -> Result<FuncId> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| invalid(format!("there is no function `{name}`")))
    }

    fn plan(&self, id: FuncId) -> &Plan {
        self.plans[id.0 as usize].get_or_init(|| Plan::new(self.module.func(id)))
    }

    /// Evaluates a function on a device; `depth` counts the calls and regions around it.
    pub(crate) fn call(&self, id: FuncId, args: Vec<Value>, depth: usize, device: Arc<Device>) -> Result<Vec<Value>> {
        let func = self.module.func(id);
        let mut frame = Frame {
            interp: self,
            func,
            plan: self.plan(id),
            env: vec![None; func.value_count()],
            depth,
            device,
        };
        for (i, (&v, value)) in func.args().iter().zip(&args).enumerate() {
            if let Value::Tensor(t) = value {
                check_size(t.ty())?;
            }
            if !value.has_type(func.ty(v)) {
                let message = format!(
                    "argument {i} of `{}` is {}, not {}",
                    func.name,
                    value.describe(),
                    func.ty(v)
                );
                return Err(Diagnostic::error(ferrite_ir::diag::Code::Usage, message));
            }
        }
        frame.region(func.body(), args)
    }
}

/// Number of tensors in a type.
fn leaves(ty: &Type) -> usize {
    match ty {
        Type::Tensor(_) => 1,
        Type::Token => 0,
        Type::Tuple(types) | Type::Future(types) => types.iter().map(leaves).sum(),
    }
}

/// Builds a value of a type from the next tensors.
fn bind(ty: &Type, left: &mut impl Iterator<Item = Tensor>) -> Option<Value> {
    match ty {
        Type::Tensor(_) => left.next().map(Value::Tensor),
        Type::Token => Some(Value::Token),
        Type::Tuple(types) | Type::Future(types) => types
            .iter()
            .map(|t| bind(t, left))
            .collect::<Option<Vec<_>>>()
            .map(Value::Tuple),
    }
}

/// One activation of a function.
pub(crate) struct Frame<'m> {
    pub interp: &'m Interpreter<'m>,
    pub func: &'m Func,
    plan: &'m Plan,
    env: Vec<Option<Value>>,
    pub depth: usize,
    pub device: Arc<Device>,
}

impl<'m> Frame<'m> {
    /// The same activation on another device.
    pub fn on(&self, device: Arc<Device>) -> Frame<'m> {
        Frame {
            interp: self.interp,
            func: self.func,
            plan: self.plan,
            env: self.env.clone(),
            depth: self.depth,
            device,
        }
    }

    /// A value that has been computed.
    fn value(&self, v: ValueId) -> Result<&Value> {
        self.env[v.index()]
            .as_ref()
            .ok_or_else(|| invalid("a value is used before it is defined"))
    }

    /// A tensor that has been computed.
    pub fn tensor(&self, v: ValueId) -> Result<&Tensor> {
        match self.value(v)? {
            Value::Tensor(t) => Ok(t),
            other => Err(invalid(format!("a tensor is needed here, found {}", other.describe()))),
        }
    }

    /// Evaluates a region with these arguments and gives what it yields.
    pub fn region(&mut self, id: RegionId, args: Vec<Value>) -> Result<Vec<Value>> {
        let func = self.func;
        let region = func.region(id);
        if args.len() != region.args.len() {
            let message = format!("a region of {} arguments is given {}", region.args.len(), args.len());
            return Err(self.located(invalid(message), region.loc));
        }
        if self.depth >= MAX_DEPTH {
            let message = format!("calls and regions are nested deeper than {MAX_DEPTH}");
            return Err(self.located(unsupported(message), region.loc));
        }
        self.depth += 1;
        for (&v, value) in region.args.iter().zip(args) {
            self.env[v.index()] = Some(value);
        }
        for &op in &region.ops {
            self.op(op).map_err(|e| self.located(e, func.op(op).loc))?;
        }
        let mut results = Vec::with_capacity(region.results.len());
        for (i, &v) in region.results.iter().enumerate() {
            let last = self.plan.home[v.index()] == id && !region.results[i + 1..].contains(&v);
            let value = if last {
                self.env[v.index()].take()
            } else {
                self.env[v.index()].clone()
            };
            results.push(value.ok_or_else(|| invalid("a region yields a value that is not defined"))?);
        }
        for &v in &region.args {
            self.env[v.index()] = None;
        }
        self.depth -= 1;
        Ok(results)
    }

    /// Adds a location to a diagnostic that has none.
    fn located(&self, diagnostic: Diagnostic, loc: LocId) -> Diagnostic {
        if diagnostic.location == Default::default() {
            diagnostic.at(self.interp.module.locs.get(loc))
        } else {
            diagnostic
        }
    }

    /// Evaluates one operation and stores its results.
    fn op(&mut self, id: OpId) -> Result<()> {
        let op = self.func.op(id);
        for &r in &op.results {
            if let Some(ty) = self.func.ty(r).tensor().filter(|t| t.is_static()) {
                check_size(ty)?;
            }
        }
        let plan = self.plan;
        let deaths = &plan.deaths[id.index()];
        let mut operands = Vec::with_capacity(op.operands.len());
        for (i, &v) in op.operands.iter().enumerate() {
            let moved = deaths.iter().any(|d| d.value == v && d.movable) && !op.operands[i + 1..].contains(&v);
            if moved {
                let value = self.env[v.index()].take();
                operands.push(value.ok_or_else(|| invalid("a value is used before it is defined"))?);
            } else {
                operands.push(self.value(v)?.clone());
            }
        }
        let results = self.evaluate(id, operands)?;
        if results.len() != op.results.len() {
            let message = format!(
                "`{}` gives {} results, not {}",
                op.kind.mnemonic(),
                results.len(),
                op.results.len()
            );
            return Err(invalid(message));
        }
        for death in deaths {
            self.env[death.value.index()] = None;
        }
        for (&r, value) in op.results.iter().zip(results) {
            if !value.has_type(self.func.ty(r)) {
                let (name, ty) = (op.kind.mnemonic(), self.func.ty(r));
                return Err(invalid(format!(
                    "the result of `{name}` is {}, not {ty}",
                    value.describe()
                )));
            }
            self.env[r.index()] = Some(value);
        }
        Ok(())
    }
}

/// Evaluates the entry function of a module: its flattened results for these inputs.
///
/// # Errors
/// If the inputs do not fit the parameters, or an operation cannot be evaluated (several devices, host transfers,
/// unknown custom calls).
pub fn interpret(module: &Module, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    Interpreter::new(module).run(inputs)
}

/// Evaluates any function of a module.
pub fn evaluate_func(module: &Module, func: FuncId, args: Vec<Value>) -> Result<Vec<Value>> {
    Interpreter::new(module).call(func, args, 0, Arc::new(Device::alone()))
}
