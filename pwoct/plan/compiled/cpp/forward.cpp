// Chooses the kernel of an operation of a forward pass.

#include "forward.h"
#include "moves.h"
#include "pointwise_maps.h"
#include "windows.h"
#include "winograd.h"

template <class Type>
bool compute_forward(const Operation &op, const Numbers &numbers, const Maps<Type> &maps, typename Type::Vector *memory,
                     void *scratch) {
  typedef typename Type::Scalar Scalar;
  const auto *scalars = static_cast<const Scalar *>(numbers.scalars);
  const Scalar *bias = op.bias < 0 ? nullptr : scalars + op.bias;
  const Weights<Type> weights = {static_cast<const typename Type::Weight *>(numbers.weights) + op.weight, bias};
  switch (op.kind) {
  case CONVOLUTION: convolve<Type>(op, maps, weights); return true;
  case WINOGRAD_CONVOLUTION: convolve_tiles<Type>(op, maps, weights, scratch); return true;
  case POOLING: pool<Type, true>(op, maps); return true;
  case MAPPING: map_pixels<Type>(op, maps, bias); return true;
  case WINDOWS: pool_windows<Type>(op, maps); return true;
  case DEPTHWISE: convolve_depthwise<Type>(op, maps, scalars + op.weight, bias); return true;
  case MOVING: move<Type>(op, memory, maps.output, numbers.tables + op.table, numbers.constants); return true;
  }
  return false;
}

#define FORWARD(Type)                                                                                                 \
  template bool compute_forward<Type>(const Operation &, const Numbers &, const Maps<Type> &, Type::Vector *, void *);
FORWARD(Real<float>)
FORWARD(Real<double>)
FORWARD(BFloat16)
