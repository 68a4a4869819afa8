"""The exact savings, which change results by rounding only; each can be judged alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.optimizations import fold
from lipstream.rendering.musetalk.optimizations.fuse_attention import fuse_projections, share_audio
from lipstream.rendering.musetalk.optimizations.fuse_norms import fuse_norms
from lipstream.rendering.musetalk.optimizations.mkldnn_pack import prepack
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class OptimizationOptions:
    """The savings, each on or off; by default off."""

    fold_time: bool = False  # the constant timestep goes into biases
    fold_decoder_upsampling: bool = False  # convolve first, double the pixels then
    fold_unet_upsampling: bool = False  # the same; its pictures are small
    fuse_projections: bool = False  # query, key and value of self-attention in one product
    share_audio: bool = False  # keys and values of all attentions to the audio in one product
    fold_scales: bool = False  # what only scales goes into what is next, in the autoencoder
    channels_last: bool = False  # weights, and so pictures too, are laid out pixel by pixel
    fuse_norms: bool = False  # norms, activations, biases and sums in single passes, on a GPU
    prepack: bool = False  # bfloat16 on a CPU: weights laid out once for its units

    @classmethod
    def exact(cls, device: torch.device, dtype: torch.dtype) -> OptimizationOptions:
        """All that gain on this device at this precision."""
        on_cpu = device.type == "cpu"
        return cls(
            fold_time=True,
            fold_decoder_upsampling=True,
            # On a CPU fewer products of such small pictures do not pay for more weights to read.
            fold_unet_upsampling=not on_cpu,
            fuse_projections=True,
            share_audio=True,
            fold_scales=True,
            channels_last=True,
            fuse_norms=not on_cpu,
            prepack=on_cpu and dtype == torch.bfloat16,
        )


@torch.no_grad()
def optimized(networks: MuseTalkNetworks, options: OptimizationOptions) -> MuseTalkNetworks:
    """The same networks with these savings, sharing unchanged tensors; convert and move before."""
    unet, vae = _copied(networks.unet), _copied(networks.vae)
    taesd = None if networks.decoder is None else _copied(networks.decoder)
    every: list[nn.Module] = [unet, vae] if taesd is None else [unet, vae, taesd]
    if options.fold_time:
        unet.fold_time()
    if options.fold_decoder_upsampling:
        fold.fold_upsampling(vae.decoder)
        if taesd is not None:
            taesd.fold_upsampling()
    if options.fold_unet_upsampling:
        fold.fold_upsampling(unet)
    if options.fold_scales:
        fold.fold_scales(vae)
        fold.fold_outputs(vae.decoder)
    if options.fuse_projections:
        fuse_projections(unet)
        fuse_projections(vae.decoder)
    if options.share_audio:
        share_audio(unet)
    if options.fuse_norms:
        fuse_norms(unet)
        fuse_norms(vae)  # the encoder's as well: torch has no fast ones for this layout
    if options.channels_last:
        for network in every:
            _to_channels_last(network)
    if options.prepack:  # last: afterwards weights may not change
        for network in every:
            prepack(network)
    return replace(networks, unet=unet, vae=vae, decoder=taesd)


def _copied(network: Network) -> Network:
    """New modules around the same tensors."""
    tensors = [*network.parameters(), *network.buffers()]
    for module in network.modules():  # prepacked weights are no parameters
        tensors += [value for value in vars(module).values() if isinstance(value, Tensor)]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def _to_channels_last(network: nn.Module) -> None:
    """Lay out every weight of a convolution anew, in a new tensor: the old may be shared."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.ndim == 4:
                copied = weight.contiguous(memory_format=torch.channels_last)
                setattr(module, name, nn.Parameter(copied, requires_grad=False))
