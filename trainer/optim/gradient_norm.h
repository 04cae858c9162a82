// Norms of a gradient: of all of it, for clipping, and of each group of parameters, for people.
// Summed in double in a fixed order, so the same on every run and for any number of threads.
#pragma once

#include "core/training/parameter_group.h"
#include "trainer/device/tensor.h"
#include "trainer/model/parameters.h"

namespace llmctl {

ParameterGroup group_of(const ParameterSlot& slot);  // by its Hugging Face name

struct GradientNorms {
  double all = 0;  // infinite or NaN when any element is
  GroupNorms of_group = {};
};
// Of gradients * scale.
GradientNorms gradient_norms(const ParameterLayout& layout,
                             const at::Tensor& gradients,
                             double scale = 1);

// Of a buffer without a layout.
double gradient_norm(const at::Tensor& gradients);
// What to multiply gradients with so that their norm is at most `max_norm`; 0: no limit.
double clip_scale(double norm, double max_norm);

}  // namespace llmctl
