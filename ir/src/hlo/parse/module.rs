//! Modules, functions, regions.

use smallvec::SmallVec;

use super::super::attrs::{Attr as HloAttr, Attrs};
use super::super::build::Builder;
use super::super::func::{Func, OpId, RegionId, ValueId};
use super::super::module::{Alias, AliasKind, Module, Param, ResultInfo};
use super::super::ops::OpKind;
use super::super::types::Type;
use super::attributes;
use super::fields::{self, Fields, int};
use super::kinds;
use super::mapped;
use super::scope::{Definition, Scope};
use super::types;
use crate::diag::{Code, Diagnostic};
use crate::text::source::{Locations, Places};
use crate::text::{self, Attr, Block, Document, NamedAttr, Operation, Region};

/// At most this many errors are reported.
const MAX_ERRORS: usize = 20;

/// Builds the module of a document, without verifying it.
pub(super) fn build(document: &Document, places: &Places) -> Result<Module, Vec<Diagnostic>> {
    let mut reader = Reader {
        document,
        locations: Locations::new(document, places),
        errors: Vec::new(),
    };
    let mut module = Module::default();
    let mut top = &document.operations[..];
    // A module that holds nothing but a module is a wrapper.
    while let [op] = top
        && op.name == "builtin.module"
    {
        reader.module_head(op, &mut module);
        let [Region { blocks }] = &op.regions[..] else { break };
        let [block] = &blocks[..] else { break };
        top = &block.operations;
    }
    reader.items(top, "", &mut module);
    if module.funcs.is_empty() && reader.errors.is_empty() {
        reader
            .errors
            .push(Diagnostic::error(Code::Parse, "the file holds no function"));
    }
    module.locs = reader.locations.table;
    if reader.errors.is_empty() {
        Ok(module)
    } else {
        Err(reader.errors)
    }
}

pub(super) struct Reader<'d, 'a> {
    document: &'d Document<'a>,
    pub(super) locations: Locations<'d>,
    pub(super) errors: Vec<Diagnostic>,
}

impl<'d, 'a> Reader<'d, 'a> {
    pub(super) fn error(&mut self, op: &Operation, code: Code, message: impl Into<String>) {
        let location = self.locations.of(op);
        self.errors.push(Diagnostic::error(code, message).at(&location));
    }

    fn module_head(&mut self, op: &'d Operation<'a>, module: &mut Module) {
        let all = op.properties.iter().chain(&op.attributes);
        if let Some(Attr::String(name)) = op.attr("sym_name") {
            module.name = name.to_string();
        }
        module
            .attrs
            .extend(attributes::dictionary(all.filter(|item| item.name != "sym_name")));
    }

    /// What stands in a module. Functions of modules inside it are named after both, `inner.main`; as symbols are looked
    /// up in the module around them, so are those that its functions name.
    fn items(&mut self, operations: &'d [Operation<'a>], prefix: &str, module: &mut Module) {
        for (n, op) in operations.iter().enumerate() {
            if self.errors.len() >= MAX_ERRORS {
                break;
            }
            match &*op.name {
                "func.func" => {
                    if let Some(mut func) = self.function(op) {
                        if !prefix.is_empty() {
                            qualify(&mut func, prefix);
                        }
                        module.funcs.push(func);
                    }
                }
                "sdy.mesh" => {
                    let text = text::print(&Document::of(op.clone()), text::PrintOptions::default());
                    module.symbols.push(text.trim_end().to_string());
                }
                "builtin.module" => {
                    let prefix = match op.attr("sym_name") {
                        Some(Attr::String(name)) => format!("{prefix}{name}."),
                        _ => format!("{prefix}module{n}."),
                    };
                    match &op.regions[..] {
                        [Region { blocks }] if blocks.len() == 1 => {
                            self.items(&blocks[0].operations, &prefix, module);
                        }
                        _ => self.error(op, Code::Verify, "a module has one region of one block"),
                    }
                }
                name => self.error(
                    op,
                    Code::Unsupported,
                    format!("`{name}` is not supported outside a function"),
                ),
            }
        }
    }

    fn function(&mut self, op: &'d Operation<'a>) -> Option<Func> {
        let mut fields = Fields::new(op, self.document);
        let name = match fields.string("sym_name") {
            Ok(name) => name,
            Err(message) => {
                self.error(op, Code::Verify, message);
                return None;
            }
        };
        let mut func = Func::new(name);
        let visibility = fields.take("sym_visibility");
        if let Some(visibility) = visibility
            && !matches!(visibility, Attr::String(v) if matches!(&**v, "public" | "private" | "nested"))
        {
            let message = format!(
                "the visibility of `{}` must be `public`, `private` or `nested`, not `{}`",
                func.name,
                text::print_attribute(visibility)
            );
            self.error(op, Code::Verify, message);
            return None;
        }
        func.public = !matches!(visibility, Some(Attr::String(v)) if v == "private");
        func.loc = self.locations.add(op);
        let Some(Attr::Type(text::Type::Function { inputs, results })) = fields.take("function_type") else {
            self.error(
                op,
                Code::Verify,
                format!("function `{}` needs a `function_type`", func.name),
            );
            return None;
        };
        let input_attrs = fields.take("arg_attrs");
        let result_attrs = fields.take("res_attrs");
        func.attrs = fields.rest();
        if let (Some(visibility), true) = (visibility, func.public) {
            // Functions are public by default; that it was written is kept for the printer.
            func.attrs
                .insert("sym_visibility".to_string(), attributes::convert(visibility));
        }
        let [Region { blocks }] = &op.regions[..] else {
            self.error(op, Code::Verify, format!("function `{}` needs one region", func.name));
            return None;
        };
        let block = match &blocks[..] {
            [block] => block,
            [] => {
                self.error(op, Code::Unsupported, format!("function `{}` has no body", func.name));
                return None;
            }
            _ => {
                let message = format!("function `{}` has more than one block", func.name);
                let location = self.locations.of(op);
                let error = Diagnostic::error(Code::Unsupported, message).at(&location);
                self.errors
                    .push(error.help("write branches as `stablehlo.if`, `case` and `while`"));
                return None;
            }
        };
        if block.arguments.len() != inputs.len() {
            let message = format!(
                "function `{}` has a type of {} inputs, but {} arguments",
                func.name,
                inputs.len(),
                block.arguments.len()
            );
            self.error(op, Code::Verify, message);
            return None;
        }
        let mut scope = Scope::default();
        let body = func.body();
        self.region(op, block, &mut func, body, &mut scope, "func.return");
        let outputs: Vec<ValueId> = func.region(body).results.clone();
        if self.errors.is_empty() {
            let fit = outputs.len() == results.len()
                && outputs
                    .iter()
                    .zip(results)
                    .all(|(&value, ty)| is_type(ty, func.ty(value)));
            if !fit {
                let written: Vec<String> = results.iter().map(text::print_type).collect();
                let found: Vec<String> = outputs.iter().map(|&value| func.ty(value).to_string()).collect();
                let message = format!(
                    "function `{}` returns ({}), but its type says ({})",
                    func.name,
                    found.join(", "),
                    written.join(", ")
                );
                self.error(op, Code::Verify, message);
            }
        }
        for (n, items) in self
            .dictionaries(op, input_attrs, inputs.len(), "arg_attrs")
            .into_iter()
            .enumerate()
        {
            match param(items) {
                Ok(param) => {
                    if let Some(slot) = func.params.get_mut(n) {
                        *slot = param;
                    }
                }
                Err(message) => self.error(op, Code::Verify, format!("argument {n} of `{}`: {message}", func.name)),
            }
        }
        func.results = self
            .dictionaries(op, result_attrs, results.len(), "res_attrs")
            .into_iter()
            .map(|items| ResultInfo {
                attrs: attributes::dictionary(items),
            })
            .collect();
        Some(func)
    }

    /// One dictionary for each argument or result.
    fn dictionaries(
        &mut self,
        op: &Operation<'a>,
        attr: Option<&'d Attr<'a>>,
        count: usize,
        name: &str,
    ) -> Vec<&'d [NamedAttr<'a>]> {
        let dictionaries: Option<Vec<_>> = match attr {
            None => Some(vec![&[][..]; count]),
            Some(Attr::Array(items)) if items.len() == count => items
                .iter()
                .map(|item| {
                    if let Attr::Dict(items) = item {
                        Some(&items[..])
                    } else {
                        None
                    }
                })
                .collect(),
            Some(_) => None,
        };
        dictionaries.unwrap_or_else(|| {
            self.error(
                op,
                Code::Verify,
                format!("`{name}` must be a list of {count} dictionaries"),
            );
            vec![&[][..]; count]
        })
    }

    /// Reads a block into a region. `owner` is the operation around it.
    pub(super) fn region(
        &mut self,
        owner: &'d Operation<'a>,
        block: &'d Block<'a>,
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
        terminator: &str,
    ) {
        let mark = scope.enter();
        for argument in &block.arguments {
            let definition = match types::value_type(&argument.ty) {
                Ok(ty) => Definition::Value(func.add_arg(region, ty)),
                Err(message) => {
                    self.error(owner, Code::Unsupported, message);
                    Definition::Refused
                }
            };
            if !scope.define(&argument.name, definition) {
                self.error(owner, Code::Parse, format!("`%{}` is defined twice", argument.name));
            }
        }
        self.block_operations(owner, block, func, region, scope, terminator);
        scope.leave(mark);
    }

    /// Reads the operations of a block to the end of a region; what it yields become the region's results.
    pub(super) fn block_operations(
        &mut self,
        owner: &'d Operation<'a>,
        block: &'d Block<'a>,
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
        terminator: &str,
    ) {
        let mut terminated = false;
        func.reserve(block.operations.len());
        func.region_mut(region).ops.reserve(block.operations.len());
        for op in &block.operations {
            if self.errors.len() >= MAX_ERRORS {
                break;
            }
            if terminated {
                self.error(
                    op,
                    Code::Verify,
                    format!("`{}` stands after the end of its block", op.name),
                );
                break;
            }
            if matches!(
                &*op.name,
                "func.return" | "stablehlo.return" | "sdy.return" | "mhlo.return" | "vector.yield"
            ) {
                terminated = true;
                // JAX ends the comparators it calls from `custom_call` in `stablehlo.return`.
                let stablehlo = op.name == "stablehlo.return" && owner.name == "func.func";
                // StableHLO defined in IRDL has no terminator of its own.
                let stablehlo = stablehlo || op.name == "vector.yield" && owner.name != "func.func";
                if *fields::canonical(&op.name) != *terminator && !stablehlo {
                    let message = format!("`{}` needs `{terminator}` at the end, found `{}`", owner.name, op.name);
                    self.error(op, Code::Verify, message);
                }
                let loc = self.locations.add(op);
                if let Some(values) = self.operands(op, func, scope) {
                    func.region_mut(region).results = values.to_vec();
                }
                func.region_mut(region).loc = loc;
                continue;
            }
            self.operation(op, func, region, scope);
        }
        if !terminated && self.errors.len() < MAX_ERRORS {
            self.error(
                owner,
                Code::Verify,
                format!("a block of `{}` does not end in `{terminator}`", owner.name),
            );
        }
    }

    /// The operands of an operation, with their types checked.
    fn operands(&mut self, op: &Operation<'a>, func: &Func, scope: &Scope<'d>) -> Option<SmallVec<[ValueId; 3]>> {
        let mut values = SmallVec::with_capacity(op.operands.len());
        let mut good = true;
        for (n, operand) in op.operands.iter().enumerate() {
            let message = match scope.resolve(func, operand) {
                Ok(id) => {
                    values.push(id);
                    match op.operand_types.get(n) {
                        Some(ty) if !is_type(ty, func.ty(id)) => Some(format!(
                            "`%{}` is used as `{}`, but it is `{}`",
                            operand.name,
                            text::print_type(ty),
                            func.ty(id)
                        )),
                        _ => continue,
                    }
                }
                Err(message) => message,
            };
            good = false;
            if let Some(message) = message {
                let offset = if operand.offset == 0 {
                    op.span.start
                } else {
                    operand.offset
                };
                let location = self.locations.at(op, offset);
                self.errors.push(Diagnostic::error(Code::Parse, message).at(&location));
            }
        }
        good.then_some(values)
    }

    fn operation(&mut self, op: &'d Operation<'a>, func: &mut Func, region: RegionId, scope: &mut Scope<'d>) {
        let built = self.build_operation(op, func, region, scope);
        let mut first = 0usize;
        for group in &op.results {
            let next = first + group.count as usize;
            let definition = match &built {
                None => Definition::Refused,
                Some(Meaning::Operation(id)) if op.results.len() == 1 && group.count != 1 => Definition::Results(*id),
                Some(meaning) => {
                    let values = match meaning {
                        Meaning::Operation(id) => &func.op(*id).results[..],
                        Meaning::Values(values) => values,
                    };
                    match values.get(first..next) {
                        Some([value]) => Definition::Value(*value),
                        Some(values) => scope.list(values.to_vec()),
                        None => Definition::Refused,
                    }
                }
            };
            first = next;
            if !scope.define(&group.name, definition) {
                self.error(op, Code::Parse, format!("`%{}` is defined twice", group.name));
            }
        }
    }

    fn build_operation(
        &mut self,
        op: &'d Operation<'a>,
        func: &mut Func,
        region: RegionId,
        scope: &mut Scope<'d>,
    ) -> Option<Meaning> {
        let operands = self.operands(op, func, scope);
        let mut fields = Fields::new(op, self.document);
        match &*fields.name {
            "chlo.scan" => return self.scan(&mut fields, &operands?, func, region, scope),
            "sdy.named_computation" => return self.named_computation(op, &operands?, func, region, scope),
            _ => {}
        }
        if mapped::is_mapped(&fields.name) {
            let loc = self.locations.add(op);
            let mut builder = Builder::new(func, region, loc);
            return match mapped::map(&mut fields, &operands?, &mut builder) {
                Ok(values) => Some(Meaning::Values(values)),
                Err(message) => {
                    self.error(op, Code::Verify, message);
                    None
                }
            };
        }
        let kind = match kinds::kind(&mut fields) {
            Ok(Some(kind)) => kind,
            Ok(None) => {
                let location = self.locations.of(op);
                let error = Diagnostic::error(Code::Unsupported, format!("operation `{}` is not supported", op.name));
                let help = "`neuronx-cc list-operators --framework XLA` lists what is";
                self.errors.push(error.at(&location).help(help));
                return None;
            }
            Err(message) => {
                self.error(op, Code::Verify, message);
                return None;
            }
        };
        if !op.successors.is_empty() {
            self.error(op, Code::Unsupported, "branches between blocks are not supported");
            return None;
        }
        let mut result_types = Vec::with_capacity(op.result_types.len());
        for ty in &op.result_types {
            match types::value_type(ty) {
                Ok(ty) => result_types.push(ty),
                Err(message) => {
                    self.error(op, Code::Unsupported, message);
                    return None;
                }
            }
        }
        let loc = self.locations.add(op);
        let terminator = if &*op.name == "sdy.manual_computation" {
            "sdy.return"
        } else {
            "stablehlo.return"
        };
        let mut regions: SmallVec<[RegionId; 1]> = SmallVec::new();
        for inner in &op.regions {
            let id = func.add_region();
            regions.push(id);
            match &inner.blocks[..] {
                [block] => self.region(op, block, func, id, scope, terminator),
                _ => self.error(
                    op,
                    Code::Verify,
                    format!("a region of `{}` must have one block", op.name),
                ),
            }
        }
        let rest: Attrs = fields.rest();
        let id = func.append(region, kind, &operands?, result_types, &regions, loc);
        if !rest.is_empty() {
            func.op_mut(id).attrs = Some(Box::new(rest));
        }
        Some(Meaning::Operation(id))
    }
}

/// Puts `prefix` before the name of a function and of all functions it names.
fn qualify(func: &mut Func, prefix: &str) {
    let name = |name: &mut String| name.insert_str(0, prefix);
    name(&mut func.name);
    for n in 0..func.op_count() {
        match &mut func.op_mut(OpId(n as u32)).kind {
            OpKind::Call(call) => name(&mut call.callee),
            OpKind::Composite(composite) => name(&mut composite.decomposition),
            OpKind::CustomCall(call) => {
                call.called_computations.iter_mut().for_each(name);
                if let HloAttr::Dict(config) = &mut call.backend_config
                    && let Some(HloAttr::Array(queue)) = config.get_mut("infeed")
                {
                    for entry in queue {
                        if let HloAttr::Symbol(symbol) = entry {
                            name(symbol);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// What an operation of the text became.
pub(super) enum Meaning {
    /// An operation.
    Operation(OpId),
    /// Values of other operations: what the text says has no operation of its own at this level.
    Values(Vec<ValueId>),
}

fn is_type(written: &text::Type, ty: &Type) -> bool {
    types::is_plain(written, ty) || types::value_type(written).as_ref() == Ok(ty)
}

/// What is known of a parameter.
fn param(items: &[NamedAttr]) -> Result<Param, String> {
    let mut param = Param::default();
    for item in items {
        match &*item.name {
            "tf.aliasing_output" => {
                let output = int(&item.value)
                    .and_then(|output| usize::try_from(output).ok())
                    .ok_or("`tf.aliasing_output` must be the number of an output")?;
                // JAX's own lowering makes it a may-alias of XLA.
                param.alias = Some(Alias {
                    output,
                    kind: AliasKind::May,
                });
            }
            "jax.buffer_donor" => match &item.value {
                Attr::Bool(value) => param.donated = *value,
                Attr::Unit => param.donated = true,
                _ => return Err("`jax.buffer_donor` must be `true` or `false`".to_string()),
            },
            _ => {
                param
                    .attrs
                    .insert(item.name.to_string(), attributes::convert(&item.value));
            }
        }
    }
    Ok(param)
}
