//! The meaning of every operation: from operands to results.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, ChloBroadcast, Convolution, OpId, OpKind, Pad, TensorType, Transfer, Type};

use crate::body::{Body, Simple, from_numbers, numbers, simple};
use crate::eval::{Frame, Value};
use crate::number::Num;
use crate::tensor::Tensor;
use crate::{
    collective, contraction, convolution, custom_call, elementwise, indexing, linalg, movement, norm, quantized,
    random, reduce, sort,
};
use crate::{invalid, unsupported};

/// Operands that must be tensors.
pub(crate) struct Operands(Vec<Value>);

impl Operands {
    fn get(&self, i: usize) -> Result<&Tensor> {
        match self.0.get(i) {
            Some(Value::Tensor(t)) => Ok(t),
            _ => Err(invalid(format!("operand {i} must be a tensor"))),
        }
    }

    fn take(&mut self, i: usize) -> Result<Tensor> {
        match self.0.get_mut(i).map(|v| std::mem::replace(v, Value::Token)) {
            Some(Value::Tensor(t)) => Ok(t),
            _ => Err(invalid(format!("operand {i} must be a tensor"))),
        }
    }

    fn all(&self) -> Result<Vec<&Tensor>> {
        (0..self.0.len()).map(|i| self.get(i)).collect()
    }

    fn into_tensors(mut self) -> Result<Vec<Tensor>> {
        (0..self.0.len()).map(|i| self.take(i)).collect()
    }

    /// A one-dimensional (or scalar) integer operand as a list.
    fn list(&self, i: usize) -> Result<Vec<i64>> {
        let t = self.get(i)?;
        if t.dtype().is_int() {
            Ok(t.to_i64s().into_owned())
        } else {
            Err(invalid(format!("operand {i} must be of integers")))
        }
    }

    /// Scalar integer operands from `first` on; one vector operand is taken as a list.
    fn scalars(&self, first: usize) -> Result<Vec<i64>> {
        let mut out = Vec::new();
        for i in first..self.0.len() {
            out.extend(self.list(i)?);
        }
        Ok(out)
    }
}

fn one(t: Tensor) -> Result<Vec<Value>> {
    Ok(vec![Value::Tensor(t)])
}

fn many(tensors: impl IntoIterator<Item = Tensor>) -> Vec<Value> {
    tensors.into_iter().map(Value::Tensor).collect()
}

impl<'m> Frame<'m> {
    /// Addresses of a transfer's messages: those of the pairs whose `mine` is this device, or the channel alone where
    /// there are no pairs.
    fn addresses(
        &self,
        t: &Transfer,
        mine: impl Fn((i64, i64)) -> i64,
        target: impl Fn((i64, i64)) -> i64,
    ) -> Vec<(i64, Option<usize>)> {
        if t.source_target_pairs.is_empty() {
            return vec![(t.channel_id, None)];
        }
        t.source_target_pairs
            .iter()
            .filter(|&&pair| usize::try_from(mine(pair)) == Ok(self.device.id()))
            .map(|&pair| (t.channel_id, usize::try_from(target(pair)).ok()))
            .collect()
    }

    /// Computes the results of an operation.
    pub(crate) fn evaluate(&mut self, id: OpId, operands: Vec<Value>) -> Result<Vec<Value>> {
        let op = self.func.op(id);
        let func = self.func;
        let results: Vec<Option<&TensorType>> = op.results.iter().map(|&r| func.ty(r).tensor()).collect();
        if quantized::is_quantized(func, op) {
            return self.evaluate_quantized(id, operands);
        }
        self.evaluate_as(id, operands, &results)
    }

    /// Computes the results of an operation as tensors of the given types.
    pub(crate) fn evaluate_as(
        &mut self,
        id: OpId,
        operands: Vec<Value>,
        results: &[Option<&TensorType>],
    ) -> Result<Vec<Value>> {
        let op = self.func.op(id);
        let func = self.func;
        let mut x = Operands(operands);
        let ty = || -> Result<&TensorType> {
            results
                .first()
                .copied()
                .flatten()
                .ok_or_else(|| invalid(format!("`{}` must give a tensor", op.kind.mnemonic())))
        };
        let dtypes = || -> Result<Vec<DType>> {
            let all: Option<Vec<DType>> = results.iter().map(|t| t.map(|t| t.dtype)).collect();
            all.ok_or_else(|| invalid(format!("`{}` must give tensors", op.kind.mnemonic())))
        };
        let region = |i: usize| {
            op.regions
                .get(i)
                .copied()
                .ok_or_else(|| invalid(format!("`{}` lacks a region", op.kind.mnemonic())))
        };
        match &op.kind {
            OpKind::Constant(literal) => one(Tensor::from_literal(literal)),
            OpKind::Iota(iota) => one(movement::iota(ty()?, iota.iota_dimension)?),
            OpKind::DynamicIota(iota) => {
                let ty = TensorType::new(ty()?.dtype, &x.list(0)?);
                crate::check_size(&ty)?;
                one(movement::iota(&ty, iota.iota_dimension)?)
            }
            OpKind::Unary(u) => one(elementwise::unary(*u, x.get(0)?)?),
            OpKind::Binary(b) => one(elementwise::binary(*b, x.get(0)?, x.get(1)?)?),
            OpKind::ChloBroadcastBinary(b) => one(chlo_broadcast(b, &x.all()?)?),
            OpKind::Compare(c) => one(elementwise::compare(*c, x.get(0)?, x.get(1)?)?),
            OpKind::Select => one(elementwise::select(x.get(0)?, x.get(1)?, x.get(2)?)?),
            OpKind::Clamp => one(elementwise::clamp(x.get(0)?, x.get(1)?, x.get(2)?)?),
            OpKind::Convert => one(elementwise::convert(x.get(0)?, ty()?.dtype)),
            OpKind::BitcastConvert => one(elementwise::bitcast_convert(x.get(0)?, ty()?)?),
            OpKind::ReducePrecision(attrs) => one(elementwise::reduce_precision(*attrs, x.get(0)?)?),
            OpKind::Complex => one(elementwise::complex(x.get(0)?, x.get(1)?)?),
            // Their types are quantized: these are computed elsewhere.
            OpKind::UniformQuantize | OpKind::UniformDequantize => {
                Err(invalid(format!("`{}` without a quantized type", op.kind.mnemonic())))
            }
            OpKind::Map(_) => {
                let inputs = x.all()?;
                let out = ty()?.dtype;
                let first = x.get(0)?;
                if inputs.iter().any(|t| t.shape() != first.shape()) {
                    return Err(invalid("operands of `stablehlo.map` differ in shape"));
                }
                let columns: Vec<Vec<Num>> = inputs.iter().map(|t| numbers(t)).collect();
                let mut body = Body::new(self, region(0)?);
                let mut values = vec![Num::I(0); first.count()];
                let mut args = vec![Num::I(0); columns.len()];
                for (i, value) in values.iter_mut().enumerate() {
                    args.iter_mut().zip(&columns).for_each(|(a, c)| *a = c[i]);
                    body.call(&args, std::slice::from_mut(value))?;
                }
                one(from_numbers(first.ty().with_dtype(out), &values))
            }

            OpKind::DotGeneral(d) => one(contraction::dot_general(&d.dims, x.get(0)?, x.get(1)?, ty()?.dtype)?),
            OpKind::Dot(_) => one(contraction::dot(x.get(0)?, x.get(1)?, ty()?.dtype)?),
            OpKind::RaggedDot(r) => one(contraction::ragged_dot(
                r,
                x.get(0)?,
                x.get(1)?,
                x.get(2)?,
                ty()?.dtype,
            )?),
            OpKind::Convolution(c) => one(convolution::convolution(c, x.get(0)?, x.get(1)?, ty()?.dtype)?),
            OpKind::DynamicConv(c) => {
                let padding = x.list(2)?.chunks_exact(2).map(|p| (p[0], p[1])).collect();
                let attrs = Convolution { padding, ..c.clone() };
                one(convolution::convolution(&attrs, x.get(0)?, x.get(1)?, ty()?.dtype)?)
            }
            OpKind::Einsum(e) | OpKind::UnaryEinsum(e) => one(contraction::einsum(&e.config, &x.all()?, ty()?.dtype)?),

            OpKind::BroadcastInDim(b) => one(movement::broadcast_in_dim(
                x.get(0)?,
                &b.broadcast_dimensions,
                &ty()?.shape,
            )?),
            OpKind::Broadcast(b) => {
                let t = x.get(0)?;
                let shape = [&b.broadcast_sizes[..], t.shape()].concat();
                let dims: Vec<i64> = (b.broadcast_sizes.len() as i64..shape.len() as i64).collect();
                one(movement::broadcast_in_dim(t, &dims, &shape)?)
            }
            OpKind::DynamicBroadcastInDim(b) => {
                let shape = x.list(1)?;
                crate::check_size(&TensorType::new(ty()?.dtype, &shape))?;
                one(movement::broadcast_in_dim(x.get(0)?, &b.broadcast_dimensions, &shape)?)
            }
            OpKind::Reshape => one(movement::reshape(x.get(0)?, &ty()?.shape)?),
            OpKind::DynamicReshape => {
                let mut shape = x.list(1)?;
                // One -1 stands for whatever is left, as XLA's dynamic reshape has it.
                if let Some(free) = shape.iter().position(|&n| n == -1) {
                    let known: i64 = shape.iter().filter(|&&n| n != -1).product();
                    shape[free] = (x.get(0)?.count() as i64).checked_div(known).unwrap_or(0);
                }
                one(movement::reshape(x.get(0)?, &shape)?)
            }
            OpKind::Transpose(t) => one(movement::transpose(x.get(0)?, &t.permutation)?),
            OpKind::Slice(s) => one(movement::slice(x.get(0)?, &s.start, &s.limit, &s.strides)?),
            OpKind::RealDynamicSlice => one(movement::slice(x.get(0)?, &x.list(1)?, &x.list(2)?, &x.list(3)?)?),
            OpKind::DynamicSlice(s) => one(movement::dynamic_slice(x.get(0)?, &x.scalars(1)?, &s.sizes)?),
            OpKind::DynamicUpdateSlice => {
                let starts = x.scalars(2)?;
                let target = x.take(0)?;
                one(movement::dynamic_update_slice(target, x.get(1)?, &starts)?)
            }
            OpKind::Pad(p) => one(movement::pad(x.get(0)?, x.get(1)?, p)?),
            OpKind::DynamicPad => {
                let attrs = Pad {
                    low: x.list(2)?.as_slice().into(),
                    high: x.list(3)?.as_slice().into(),
                    interior: x.list(4)?.as_slice().into(),
                };
                one(movement::pad(x.get(0)?, x.get(1)?, &attrs)?)
            }
            OpKind::Reverse(r) => one(movement::reverse(x.get(0)?, &r.dimensions)?),
            OpKind::Concatenate(c) => one(movement::concatenate(&x.all()?, c.dimension)?),
            OpKind::GetDimensionSize(d) => {
                let t = x.get(0)?;
                let size = t.shape().get(d.dimension as usize).copied();
                let size = size.ok_or_else(|| invalid(format!("{} has no dimension {}", t.ty(), d.dimension)))?;
                one(Tensor::from_i64s(TensorType::scalar(ty()?.dtype), vec![size]))
            }
            OpKind::SetDimensionSize(d) => {
                let t = x.get(0)?;
                let mut limit = t.shape().clone();
                let size = x.list(1)?.first().copied().unwrap_or_default();
                match limit.get_mut(d.dimension as usize) {
                    Some(n) => *n = size.clamp(0, *n),
                    None => return Err(invalid(format!("{} has no dimension {}", t.ty(), d.dimension))),
                }
                one(movement::slice(
                    t,
                    &vec![0; limit.len()],
                    &limit,
                    &vec![1; limit.len()],
                )?)
            }

            OpKind::Gather(g) => one(indexing::gather(g, &g.slice_sizes, x.get(0)?, x.get(1)?)?),
            OpKind::DynamicGather(g) => one(indexing::gather(g, &x.list(2)?, x.get(0)?, x.get(1)?)?),
            OpKind::TorchIndexSelect(t) => {
                one(indexing::torch_index_select(x.get(0)?, x.get(1)?, t.dim, t.batch_dims)?)
            }
            OpKind::Scatter(s) => {
                let n = (x.0.len().saturating_sub(1)) / 2;
                let mut inputs = (0..n).map(|i| x.take(i)).collect::<Result<Vec<_>>>()?;
                let indices = x.get(n)?;
                let updates = (n + 1..x.0.len()).map(|i| x.get(i)).collect::<Result<Vec<_>>>()?;
                let kind = simple(func, region(0)?);
                let mut body = Body::new(self, region(0)?);
                let inputs = std::mem::take(&mut inputs);
                Ok(many(reduce::scatter(s, inputs, indices, &updates, kind, &mut body)?))
            }

            OpKind::Reduce(r) => {
                let all = x.all()?;
                let (inputs, inits) = all.split_at(all.len() / 2);
                let out = dtypes()?;
                if inits.iter().any(|t| t.count() != 1) || out.len() != inputs.len() {
                    return Err(invalid("`stablehlo.reduce` needs one scalar initial value per input"));
                }
                if let ([input], [init], Some(Simple::Fold(f))) = (inputs, inits, simple(func, region(0)?)) {
                    return one(reduce::reduce_simple(f, input, Some(init), &r.dimensions, out[0])?);
                }
                let mut body = Body::new(self, region(0)?);
                Ok(many(reduce::reduce_general(
                    inputs,
                    inits,
                    &r.dimensions,
                    &out,
                    &mut body,
                )?))
            }
            OpKind::ReduceWindow(r) => {
                let all = x.all()?;
                let (inputs, inits) = all.split_at(all.len() / 2);
                let out = dtypes()?;
                if inits.iter().any(|t| t.count() != 1) || out.len() != inputs.len() {
                    return Err(invalid(
                        "`stablehlo.reduce_window` needs one scalar initial value per input",
                    ));
                }
                let kind = simple(func, region(0)?);
                let mut body = Body::new(self, region(0)?);
                Ok(many(reduce::reduce_window(r, inputs, inits, &out, kind, &mut body)?))
            }
            OpKind::SelectAndScatter(s) => {
                let (operand, source, init) = (x.get(0)?, x.get(1)?, x.get(2)?);
                let selected = reduce::select_positions(s, operand, &mut Body::new(self, region(0)?))?;
                let mut scatter = Body::new(self, region(1)?);
                one(reduce::scatter_selected(
                    &selected,
                    operand,
                    source,
                    init,
                    &mut scatter,
                )?)
            }
            OpKind::Sort(s) => {
                let all = x.all()?;
                let mut comparator = Body::new(self, region(0)?);
                Ok(many(sort::sort(&all, s.dimension, &mut comparator)?))
            }
            OpKind::TopK(t) => {
                let index = dtypes()?.get(1).copied().unwrap_or(DType::I32);
                Ok(many(sort::top_k(x.get(0)?, t.k, t.largest, index)?))
            }
            OpKind::BatchNormTraining(b) => Ok(many(norm::training(b, x.get(0)?, x.get(1)?, x.get(2)?)?)),
            OpKind::BatchNormInference(b) => one(norm::inference(b, &x.all()?)?),
            OpKind::BatchNormGrad(b) => Ok(many(norm::grad(b, &x.all()?)?)),

            OpKind::Cholesky(c) => one(linalg::cholesky(c.lower, x.get(0)?)?),
            OpKind::TriangularSolve(t) => one(linalg::triangular_solve(t, x.get(0)?, x.get(1)?)?),
            OpKind::Fft(f) => one(linalg::fft(f, x.get(0)?)?),
            OpKind::Rng(r) => one(random::rng(r.distribution, x.get(0)?, x.get(1)?, &x.list(2)?)?),
            OpKind::RngBitGenerator(r) => {
                let Some(Some(bits)) = results.get(1) else {
                    return Err(invalid("`stablehlo.rng_bit_generator` must give a state and bits"));
                };
                Ok(many(random::rng_bit_generator(r.algorithm, x.get(0)?, bits)?))
            }

            OpKind::While => {
                let (condition, body) = (region(0)?, region(1)?);
                let mut state = x.0;
                let mut iterations = 0u64;
                loop {
                    let answer = self.region(condition, state.clone())?;
                    let Some(Value::Tensor(go)) = answer.first() else {
                        return Err(invalid("the condition of `stablehlo.while` must give a boolean"));
                    };
                    if go.get_i64(0) == 0 {
                        return Ok(state);
                    }
                    if iterations == self.interp.max_iterations {
                        return Err(unsupported(format!("the loop ran {iterations} times and does not end")));
                    }
                    iterations += 1;
                    state = self.region(body, state)?;
                }
            }
            OpKind::If => {
                let branch = if x.get(0)?.get_i64(0) != 0 { 0 } else { 1 };
                self.region(region(branch)?, Vec::new())
            }
            OpKind::Case => {
                let last = op.regions.len().saturating_sub(1);
                let index = x.get(0)?.get_i64(0);
                let branch = usize::try_from(index).map_or(last, |i| i.min(last));
                self.region(region(branch)?, Vec::new())
            }
            OpKind::Call(c) => self
                .interp
                .call(self.interp.find(&c.callee)?, x.0, self.depth, self.device.clone()),
            OpKind::Composite(c) => self.interp.call(
                self.interp.find(&c.decomposition)?,
                x.0,
                self.depth,
                self.device.clone(),
            ),
            OpKind::CustomCall(c) => custom_call::custom_call(self, c, op, x.0),
            OpKind::Tuple => Ok(vec![Value::Tuple(x.0)]),
            OpKind::GetTupleElement(g) => match x.0.into_iter().next() {
                Some(Value::Tuple(values)) if (g.index as usize) < values.len() && g.index >= 0 => {
                    Ok(values.into_iter().nth(g.index as usize).into_iter().collect())
                }
                _ => Err(invalid(format!("there is no tuple element {}", g.index))),
            },
            OpKind::OptimizationBarrier => Ok(x.0),
            OpKind::AfterAll | OpKind::CreateToken => Ok(vec![Value::Token]),
            OpKind::ShardingConstraint(_) => Ok(x.0),
            OpKind::AsyncStart => {
                let values = self.region(region(0)?, x.0)?;
                Ok(vec![Value::Tuple(values)])
            }
            OpKind::AsyncDone => match x.0.into_iter().next() {
                Some(Value::Tuple(values)) => Ok(values),
                _ => Err(invalid("`stablehlo.async_done` needs a future")),
            },
            OpKind::Infeed(_) => {
                let id = self.device.next_infeed().ok_or_else(|| no_host(op.kind.mnemonic()))?;
                let mut values = self.interp.call(id, Vec::new(), self.depth, self.device.clone())?;
                values.push(Value::Token);
                Ok(values)
            }
            OpKind::Outfeed(_) if self.device.has_host() => Ok(vec![Value::Token]),
            OpKind::Send(t) if !host_transfer(t) => {
                x.0.pop();
                for to in self.addresses(t, |(source, _)| source, |(_, target)| target) {
                    self.device.send(to, x.0.clone());
                }
                Ok(vec![Value::Token])
            }
            OpKind::Recv(t) if !host_transfer(t) => {
                let from = self.addresses(t, |(_, target)| target, |(_, target)| target);
                match from[..] {
                    [] => Ok(zeros(&op.results.iter().map(|&r| func.ty(r)).collect::<Vec<_>>())),
                    [from, ..] => {
                        let mut values = self.device.receive(from)?;
                        values.push(Value::Token);
                        Ok(values)
                    }
                }
            }
            OpKind::Outfeed(_) | OpKind::Send(_) | OpKind::Recv(_) => Err(no_host(op.kind.mnemonic())),
            OpKind::AllGather(g) => Ok(many(collective::all_gather(
                &g.collective,
                g.all_gather_dim,
                &self.device,
                x.into_tensors()?,
            )?)),
            OpKind::AllReduce(c) => Ok(many(
                collective::all_reduce(self, c, Some(region(0)?), x.into_tensors()?)?.0,
            )),
            OpKind::CollectiveReduce(c) => Ok(many(collective::collective_reduce(
                self,
                c,
                region(0)?,
                x.into_tensors()?,
            )?)),
            OpKind::CrossReplicaSum(c) => Ok(many(collective::all_reduce(self, c, None, x.into_tensors()?)?.0)),
            OpKind::ReduceScatter(r) => {
                let (c, dim, body) = (&r.collective, r.scatter_dimension, region(0)?);
                Ok(many(collective::reduce_scatter(
                    self,
                    c,
                    dim,
                    Some(body),
                    x.into_tensors()?,
                )?))
            }
            OpKind::AllToAll(a) => Ok(many(collective::all_to_all(a, &self.device, x.into_tensors()?)?)),
            OpKind::CollectivePermute(p) => {
                let (pairs, channel) = (&p.source_target_pairs, p.channel_id);
                Ok(many(collective::collective_permute(
                    pairs,
                    channel,
                    &self.device,
                    x.into_tensors()?,
                )?))
            }
            OpKind::CollectiveBroadcast(c) => Ok(many(collective::collective_broadcast(
                c,
                &self.device,
                x.into_tensors()?,
            )?)),
            OpKind::PartitionId => one(collective::id(self.device.partition)),
            OpKind::ReplicaId => one(collective::id(self.device.replica)),
            OpKind::ManualComputation(m) => {
                let types: Option<Vec<&TensorType>> = results.iter().copied().collect();
                let types = types.ok_or_else(|| invalid("`sdy.manual_computation` must give tensors"))?;
                collective::manual_computation(self, m, region(0)?, &types, &x.into_tensors()?)
            }
        }
    }
}

/// Whether a transfer is one with the host: said by the operation, or by the type of its channel (2 and 3).
fn host_transfer(t: &Transfer) -> bool {
    t.is_host_transfer || matches!(t.channel_type, 2 | 3)
}

fn no_host(name: &str) -> ferrite_ir::diag::Diagnostic {
    unsupported(format!("`{name}` talks to a host that is not there"))
        .help("pass the data as a parameter or return it as a result")
}

/// What a device gets that receives nothing.
fn zeros(types: &[&Type]) -> Vec<Value> {
    types
        .iter()
        .map(|ty| match ty {
            Type::Tensor(t) => Value::Tensor(Tensor::zeros(t.clone())),
            _ => Value::Token,
        })
        .collect()
}

/// `chlo.broadcast_*`: operands are broadcast to their common shape first.
fn chlo_broadcast(attrs: &ChloBroadcast, operands: &[&Tensor]) -> Result<Tensor> {
    let rank = operands.iter().map(|t| t.shape().len()).max().unwrap_or(0);
    let mut shape = vec![1i64; rank];
    let mut maps = Vec::new();
    for t in operands {
        let n = t.shape().len();
        let dims: Vec<i64> = match &attrs.broadcast_dimensions {
            Some(dims) if n < rank && dims.len() == n => dims.to_vec(),
            _ => ((rank - n) as i64..rank as i64).collect(),
        };
        for (&d, &size) in dims.iter().zip(t.shape()) {
            let place = shape
                .get_mut(d as usize)
                .ok_or_else(|| invalid("broadcast_dimensions do not fit"))?;
            match (*place, size) {
                (_, 1) => {}
                (1, n) => *place = n,
                (a, b) if a == b => {}
                (a, b) => return Err(invalid(format!("dimensions {a} and {b} do not broadcast"))),
            }
        }
        maps.push(dims);
    }
    crate::check_size(&TensorType::new(DType::C128, &shape))?;
    let wide = operands
        .iter()
        .zip(&maps)
        .map(|(t, dims)| movement::broadcast_in_dim(t, dims, &shape))
        .collect::<Result<Vec<_>>>()?;
    match (&attrs.op[..], &wide[..]) {
        ("compare", [a, b]) => {
            let compare = attrs
                .compare
                .ok_or_else(|| invalid("`chlo.broadcast_compare` without a direction"))?;
            elementwise::compare(compare, a, b)
        }
        ("select", [p, a, b]) => elementwise::select(p, a, b),
        ("complex", [a, b]) => elementwise::complex(a, b),
        (name, [a, b]) => {
            let op = BinaryOp::from_mnemonic(&format!("stablehlo.{name}"))
                .or_else(|| BinaryOp::from_mnemonic(&format!("chlo.{name}")))
                .ok_or_else(|| unsupported(format!("`chlo.broadcast_{name}` is not known")))?;
            elementwise::binary(op, a, b)
        }
        (name, _) => Err(invalid(format!(
            "`chlo.broadcast_{name}` with {} operands",
            operands.len()
        ))),
    }
}
