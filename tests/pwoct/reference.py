"""Octave convolution pixel by pixel in float64: slow, obvious, and written apart from the layers."""

import torch


def conv(x, weight, bias, stride=1, dilation=1, groups=1):
    """Sum over the taps that lie inside the image, for each output pixel; odd kernels, centred."""
    n, _, h, w = x.shape
    c_out, c_group, kh, kw = weight.shape
    x = x.reshape(n, groups, c_group, h, w)
    weight = weight.reshape(groups, c_out // groups, c_group, kh, kw)
    rows = []
    for i in range(0, h, stride):
        for j in range(0, w, stride):
            pixel = torch.zeros(n, groups, c_out // groups, dtype=torch.float64)
            for a in range(kh):
                for b in range(kw):
                    y, z = i + dilation * (a - kh // 2), j + dilation * (b - kw // 2)
                    if 0 <= y < h and 0 <= z < w:
                        pixel = pixel + torch.einsum("ngc,goc->ngo", x[..., y, z], weight[..., a, b])
            rows.append(pixel.reshape(n, c_out))
    out = torch.stack(rows, -1).reshape(n, c_out, len(range(0, h, stride)), len(range(0, w, stride)))
    return out if bias is None else out + bias.reshape(1, c_out, 1, 1)


def pool(x, by=2):
    """Mean of the pixels that exist in each by x by window."""
    h, w = x.shape[-2:]
    rows = [
        torch.stack(
            [x[..., i : min(i + by, h), j : min(j + by, w)].mean((-2, -1)) for j in range(0, w, by)], -1
        )
        for i in range(0, h, by)
    ]
    return torch.stack(rows, -2)


def upsample(x, h, w):
    """Pixel (i, j) is pixel (i // 2, j // 2) of x."""
    return x[..., [i // 2 for i in range(h)], :][..., [j // 2 for j in range(w)]]


def batch_norm(x, weights, name):
    """Normalise by the running statistics, eps 1e-5."""
    mean, var, scale, shift = (
        weights[f"{name}.{key}"].reshape(1, -1, 1, 1)
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift


def path(x, weights, name, stride, dilation, groups, depthwise, between):
    """One convolution, or three when the weights say so."""

    def groups_of(x):
        return x.shape[1] if depthwise else groups

    if f"{name}.weight" in weights:
        bias = weights.get(f"{name}.bias")
        return conv(x, weights[f"{name}.weight"], bias, stride, dilation, groups_of(x))
    for step, options in (("reduce", (stride,)), ("spatial", (1, dilation, None))):
        options = tuple(groups_of(x) if option is None else option for option in options)
        x = conv(x, weights[f"{name}.{step}.weight"], None, *options)
        if between != "none":
            x = batch_norm(x, weights, f"{name}.{step}_bn")
        if between == "bn_relu":
            x = x * (x > 0)
    return conv(x, weights[f"{name}.expand.weight"], weights.get(f"{name}.expand.bias"))


def octave(
    high, low, weights, *, stride=1, stride_rule="C", dilation=1, groups=1, depthwise=False, between="none"
):
    """Return (high, low) of an octave layer whose paths are those that have weights."""
    named = {key.split(".")[0] for key in weights}
    unpooled_low = low
    conv_stride = stride if stride_rule == "C" else 1
    if stride_rule != "C" and stride > 1:
        high, low = (None if x is None else pool(x, stride) for x in (high, low))

    def run(name, x):
        return path(x, weights, name, conv_stride, dilation, groups, depthwise, between)

    to_high, to_low = [], []
    if "hh" in named:
        to_high.append(run("hh", high))
    if "hl" in named:
        to_low.append(run("hl", pool(high)))
    if "lh" in named and stride_rule == "A" and stride == 2:
        to_high.append(run("lh", unpooled_low))
    elif "lh" in named:
        y = run("lh", low)
        size = to_high[0].shape[-2:] if to_high else (2 * y.shape[-2], 2 * y.shape[-1])
        to_high.append(upsample(y, *size))
    if "ll" in named:
        to_low.append(run("ll", low))
    return (sum(to_high) if to_high else None), (sum(to_low) if to_low else None)
