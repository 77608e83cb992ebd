//! Upstream dialects to `ir::hlo`: linalg on tensors, TOSA, arith, math, tensor, scf and func.
//!
//! In: the generic text that MLIR prints of a verified module, with locations, its named linalg operations generalized. Out:
//! a verified module. Every operation is lowered alone, in order, to StableHLO operations in a tree that the hlo parser
//! reads and checks like any text. All tensors have static shapes; memrefs, vectors and side effects are not here. What
//! cannot be lowered is refused with its name, its place and advice, and all of a file is, not the first.

mod affine;
mod contraction;
mod emit;
mod generic;
mod reduction;
mod scalar;
mod scf;
mod tensor;
mod tosa;
mod tosa_window;

use std::collections::{HashMap, HashSet};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{self, Module};
use ferrite_ir::loc::{Location as IrLocation, Source};
use ferrite_ir::text::{
    self, Attr, Block, BlockArgument, Dense, DenseData, Document, LocId, Location, Operation, Region, Type, ValueUse,
};

use emit::{Emitter, Ty, Value};

/// The file that MLIR's locations name where the text had none.
const FILE: &str = "-";

/// Why an operation cannot be lowered.
pub(crate) struct Refusal {
    message: String,
    help: Option<String>,
}

pub(crate) type Lowered<T> = Result<T, Refusal>;

pub(crate) fn refuse(message: impl Into<String>) -> Refusal {
    Refusal {
        message: message.into(),
        help: None,
    }
}

impl Refusal {
    pub(crate) fn help(mut self, help: &str) -> Refusal {
        self.help = Some(help.to_string());
        self
    }

    /// Nothing to say: the operation that defines an operand was refused.
    fn silent() -> Refusal {
        refuse("")
    }
}

/// Lowers the text of a module that MLIR read from the file `name`.
///
/// # Errors
/// Every operation that has no counterpart.
pub fn module(source: &str, name: &str) -> Result<Module, Vec<Diagnostic>> {
    let document = text::parse(source).map_err(|errors| {
        let bug =
            |error: text::SyntaxError| Diagnostic::bug(format!("what MLIR printed cannot be read: {}", error.message));
        errors.into_iter().map(bug).collect::<Vec<_>>()
    })?;
    let mut lowering = Lowering {
        document: &document,
        out: Emitter::default(),
        values: HashMap::new(),
        known: HashMap::new(),
        errors: Vec::new(),
    };
    let functions = lowering.functions();
    if !lowering.errors.is_empty() {
        return Err(lowering.errors);
    }
    let mut top = Operation::new("builtin.module");
    top.regions.push(Region {
        blocks: vec![Block {
            operations: functions,
            ..Block::default()
        }],
    });
    let mut locations = document.locations.clone();
    for location in &mut locations {
        if let Location::File { path, .. } = location
            && path == FILE
        {
            *path = name.into();
        }
    }
    let lowered = Document {
        operations: vec![top],
        locations,
        location_order: document.location_order.clone(),
        resources: document.resources.clone(),
    };
    hlo::parse::from_document(&lowered).map_err(|errors| errors.into_iter().map(|error| in_file(error, name)).collect())
}

/// A diagnostic whose location in the model is one in the file that was read.
fn in_file(mut diagnostic: Diagnostic, name: &str) -> Diagnostic {
    if let Some(Source::File { file, line, column }) = &diagnostic.location.source
        && file == name
    {
        diagnostic.location = IrLocation {
            line: *line,
            column: *column,
            source: None,
        };
    }
    diagnostic
}

pub(crate) struct Lowering<'d> {
    document: &'d Document<'d>,
    out: Emitter,
    /// What values of the source are now. MLIR's names do not shadow one another.
    values: HashMap<(String, u32), Value>,
    /// Shapes and other lists of numbers that are known when compiling.
    known: HashMap<(String, u32), Vec<i64>>,
    errors: Vec<Diagnostic>,
}

impl<'d> Lowering<'d> {
    fn functions(&mut self) -> Vec<Operation<'static>> {
        let document = self.document;
        let mut operations: &[Operation] = &document.operations;
        if let [module] = operations
            && module.name == "builtin.module"
            && let [region] = &module.regions[..]
            && let [block] = &region.blocks[..]
        {
            operations = &block.operations;
        }
        let public = |op: &&Operation| op.name == "func.func" && op.attr("sym_visibility").is_none();
        let publics: Vec<&Operation> = operations.iter().filter(public).collect();
        let entry = match publics[..] {
            [one] => symbol_name(one),
            _ => None,
        };
        let mut out = Vec::new();
        for op in operations {
            match &*op.name {
                "func.func" => out.extend(self.function(op, entry.as_deref())),
                // State of random numbers, which torch-mlir declares in every module. Uses of it are refused.
                "ml_program.global" => {}
                _ => self.report(op, refuse(format!("`{}` stands outside of functions", op.name))),
            }
        }
        if out.is_empty() && self.errors.is_empty() {
            self.errors
                .push(Diagnostic::error(Code::Verify, "the module has no function"));
        }
        out
    }

    fn report(&mut self, op: &Operation, refusal: Refusal) {
        if refusal.message.is_empty() {
            return;
        }
        let mut diagnostic = Diagnostic::error(Code::Unsupported, refusal.message);
        diagnostic.help = refusal.help;
        diagnostic.location.source = self.source(op.location, 0);
        self.errors.push(in_file(diagnostic, FILE));
    }

    /// A location of the tree as one of the program.
    fn source(&self, id: LocId, depth: usize) -> Option<Source> {
        if depth > 64 {
            return None;
        }
        match self.document.locations.get(id.0 as usize)? {
            Location::Unknown => None,
            Location::File { path, line, column, .. } => Some(Source::File {
                file: path.to_string(),
                line: *line,
                column: *column,
            }),
            Location::Name { name, child } => Some(Source::Name {
                name: name.to_string(),
                child: child.and_then(|child| self.source(child, depth + 1)).map(Into::into),
            }),
            Location::CallSite { callee, .. } => self.source(*callee, depth + 1),
            Location::Fused { children, .. } => {
                let all: Vec<Source> = children
                    .iter()
                    .filter_map(|&child| self.source(child, depth + 1))
                    .collect();
                (!all.is_empty()).then_some(Source::Fused(all))
            }
        }
    }

    /// A function. `entry` is the name of the only public one, which becomes `main`.
    fn function(&mut self, op: &Operation<'d>, entry: Option<&str>) -> Option<Operation<'static>> {
        let [region] = &op.regions[..] else { return None };
        // A declaration; a call of it is refused by the verifier.
        let block = region.blocks.first()?;
        if region.blocks.len() > 1 {
            let help = "run `lift-cf-to-scf` first: `--passes 'func.func(lift-cf-to-scf)'`";
            self.report(op, refuse("a function with branches between blocks").help(help));
            return None;
        }
        self.out.location = op.location;
        let arguments = match self.arguments(block) {
            Ok(arguments) => arguments,
            Err(refusal) => {
                self.report(op, refusal);
                return None;
            }
        };
        self.out.open();
        let results = match self.body(block) {
            Ok(results) => results,
            Err(refusal) => {
                self.report(op, refusal);
                return None;
            }
        };
        self.out.location = op.location;
        let mut region = self.out.close(&arguments, "func.return", &results);
        emit::prune(&mut region, &mut HashSet::new());
        let mut function = Operation::new("func.func");
        function.location = op.location;
        let name = symbol_name(op)?;
        let is_entry = entry == Some(&name);
        function.set(
            "sym_name",
            Attr::String(if is_entry { "main".to_string() } else { name }.into()),
        );
        let visibility = if is_entry || op.attr("sym_visibility").is_none() {
            "public"
        } else {
            "private"
        };
        function.set("sym_visibility", Attr::String(visibility.into()));
        let types = |values: &[Value]| values.iter().map(|value| value.ty.tree()).collect();
        function.set(
            "function_type",
            Attr::Type(Type::Function {
                inputs: types(&arguments),
                results: types(&results),
            }),
        );
        function.regions.push(region);
        Some(function)
    }

    /// New values for the arguments of a block.
    fn arguments(&mut self, block: &Block) -> Lowered<Vec<Value>> {
        let argument = |this: &mut Self, argument: &BlockArgument| {
            let value = ty(Some(&argument.ty)).map(|ty| this.out.argument(ty))?;
            this.bind(&argument.name, 0, value.clone());
            Ok(value)
        };
        block.arguments.iter().map(|a| argument(self, a)).collect()
    }

    fn bind(&mut self, name: &str, number: u32, value: Value) {
        self.known.remove(&(name.to_string(), number));
        self.values.insert((name.to_string(), number), value);
    }

    /// Lowers the operations of a block; what its terminator yields.
    fn body(&mut self, block: &Block<'d>) -> Lowered<Vec<Value>> {
        let Some((end, operations)) = block.operations.split_last() else {
            return Ok(Vec::new());
        };
        for op in operations {
            self.out.location = op.location;
            match self.operation(op) {
                Ok(results) => self.bind_results(op, results),
                Err(refusal) => self.report(op, refusal),
            }
        }
        self.out.location = end.location;
        self.operands(end)
    }

    fn bind_results(&mut self, op: &Operation, results: Vec<Value>) {
        let mut results = results.into_iter();
        for group in &op.results {
            for number in 0..group.count {
                if let Some(value) = results.next() {
                    self.values.insert((group.name.to_string(), number), value);
                }
            }
        }
    }

    fn value(&self, value: &ValueUse) -> Lowered<Value> {
        let found = self.values.get(&(value.name.to_string(), value.number));
        found.cloned().ok_or_else(Refusal::silent)
    }

    fn operands(&self, op: &Operation) -> Lowered<Vec<Value>> {
        op.operands.iter().map(|operand| self.value(operand)).collect()
    }

    /// The integer that an operand is, where that is known.
    fn known_integer(&self, operand: &ValueUse) -> Option<i64> {
        let value = self.values.get(&(operand.name.to_string(), operand.number))?;
        value.splat.filter(|v| v.fract() == 0.0).map(|v| v as i64)
    }

    fn operation(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let dialect = op.name.split('.').next().unwrap_or("");
        match (dialect, &*op.name) {
            ("linalg", "linalg.generic") => self.generic(op),
            ("tensor", _) | (_, "bufferization.materialize_in_destination") => self.tensor_op(op),
            ("scf", _) => self.scf(op),
            ("tosa", _) => self.tosa(op),
            ("arith" | "math", _) => {
                let operands = self.operands(op)?;
                match self.elementwise(op, &operands)? {
                    Some(value) => Ok(vec![value]),
                    None => Err(self.unknown(op)),
                }
            }
            (_, "func.call") => {
                let operands = self.operands(op)?;
                let results = types(op)?;
                let callee = op.attr("callee").map(own).transpose()?;
                let callee = callee.ok_or_else(|| refuse("a call without a callee"))?;
                Ok(self
                    .out
                    .many("func.call", &operands, vec![("callee", callee)], Vec::new(), &results))
            }
            // Assertions about shapes that are static here.
            (_, "cf.assert") => Ok(Vec::new()),
            _ => Err(self.unknown(op)),
        }
    }

    fn unknown(&self, op: &Operation) -> Refusal {
        let name = &op.name;
        let help = match name.split('.').next().unwrap_or("") {
            "memref" | "bufferization" | "vector" | "affine" => {
                "hand over the module before bufferization and vectorization, with tensors as values"
            }
            "linalg" => "write it as `linalg.generic`",
            "torch" => "run torch-mlir's backend pipeline to linalg on tensors, TOSA or StableHLO first",
            "tosa" => {
                "lower it to linalg first: `--passes 'func.func(tosa-to-linalg-named,tosa-to-linalg,tosa-to-arith,tosa-to-tensor)'`"
            }
            "cf" => "run `lift-cf-to-scf` first: `--passes 'func.func(lift-cf-to-scf)'`",
            _ => "export the model without it",
        };
        refuse(format!("`{name}` cannot be lowered")).help(help)
    }

    /// A constant from an attribute of elements.
    fn elements(&mut self, attr: &Attr, ty: Ty) -> Lowered<Value> {
        let value = match attr {
            Attr::Dense(dense) => Attr::Dense(Box::new(Dense {
                data: match &dense.data {
                    DenseData::Elements { shape, values, complex } => DenseData::Elements {
                        shape: shape.clone(),
                        values: values.clone(),
                        complex: *complex,
                    },
                    DenseData::Hex(digits) => DenseData::Hex(digits.to_string().into()),
                    DenseData::Raw(bytes) => DenseData::Raw(bytes.to_vec().into()),
                },
                ty: ty.tree(),
            })),
            Attr::DenseResource { key, .. } => Attr::DenseResource {
                key: key.to_string().into(),
                ty: Box::new(ty.tree()),
            },
            _ => return Err(refuse("a constant that is neither `dense` nor `dense_resource`")),
        };
        Ok(self.out.constant(value, ty))
    }
}

/// An attribute that borrows nothing, of the kinds that are kept as they are.
fn own(attr: &Attr) -> Lowered<Attr<'static>> {
    match attr {
        Attr::Symbol(path) => Ok(Attr::Symbol(path.iter().map(|part| part.to_string().into()).collect())),
        _ => Err(refuse("an attribute of a kind that is not expected here")),
    }
}

fn symbol_name(op: &Operation) -> Option<String> {
    match op.attr("sym_name") {
        Some(Attr::String(name)) => Some(name.to_string()),
        _ => None,
    }
}

/// Element type of a tensor, or a scalar.
fn element_of(ty: Option<&Type>) -> Lowered<String> {
    let name = |ty: &Type| match ty {
        Type::Scalar(name) if name == "index" => Some("i64".to_string()),
        Type::Scalar(name) if name != "none" => Some(name.to_string()),
        Type::Complex(inner) => Some(format!("complex<{}>", inner.scalar_name()?)),
        _ => None,
    };
    let found = ty.and_then(|ty| name(ty.element().unwrap_or(ty)));
    found.ok_or_else(|| {
        let shown = ty.map(text::print_type).unwrap_or_default();
        refuse(format!("`{shown}` is no tensor and no number"))
            .help("hand over tensors, before bufferization and vectorization")
    })
}

/// The type of a value.
fn ty(ty: Option<&Type>) -> Lowered<Ty> {
    let element = element_of(ty)?;
    match ty {
        Some(Type::Tensor(tensor)) if tensor.sizes.contains(&text::DYNAMIC) => {
            let shown = ty.map(text::print_type).unwrap_or_default();
            Err(refuse(format!("`{shown}` has a dimension of unknown size"))
                .help("export the model with static shapes, one module for each size that is used"))
        }
        Some(Type::Tensor(tensor)) => Ok(Ty::new(&tensor.sizes, &element)),
        Some(Type::UnrankedTensor(_)) => {
            Err(refuse("a tensor of unknown rank").help("export the model with static shapes"))
        }
        _ => Ok(Ty::scalar(&element)),
    }
}

/// Types of the results of an operation.
fn types(op: &Operation) -> Lowered<Vec<Ty>> {
    op.result_types.iter().map(|t| ty(Some(t))).collect()
}

/// A list of integers in any of the forms in use.
fn integers(attr: Option<&Attr>) -> Option<Vec<i64>> {
    let scalar = |value: &text::Scalar| match value {
        text::Scalar::Int(value) => i64::try_from(*value).ok(),
        text::Scalar::Bool(value) => Some(i64::from(*value)),
        _ => None,
    };
    match attr? {
        Attr::DenseArray { values, .. } => values.iter().map(scalar).collect(),
        Attr::Array(items) => items.iter().map(|item| integer(Some(item))).collect(),
        Attr::Dense(dense) => match (&dense.data, &dense.ty) {
            (DenseData::Elements { values, .. }, Type::Tensor(tensor)) => {
                let count = tensor.sizes.iter().product::<i64>().max(0) as usize;
                match &values[..] {
                    [one] => Some(vec![scalar(one)?; count]),
                    all => all.iter().map(scalar).collect(),
                }
            }
            _ => None,
        },
        _ => None,
    }
}

fn integer(attr: Option<&Attr>) -> Option<i64> {
    match attr? {
        Attr::Integer { value, .. } => i64::try_from(*value).ok(),
        Attr::Bool(value) => Some(i64::from(*value)),
        _ => None,
    }
}
