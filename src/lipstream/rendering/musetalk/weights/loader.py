"""The published weights of MuseTalk as networks that are ready to run.

Each network is first made without memory, to know the name and shape of every tensor it needs: a
file that differs in any is refused with the first difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lipstream.errors import CheckpointError
from lipstream.rendering.musetalk.models.taesd import TaesdDecoder, TaesdDimensions, decoder_state
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions, add_positions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions, current_names
from lipstream.rendering.musetalk.weights.layout import (
    PULL,
    TINY,
    Layout,
    find_layout,
    find_layouts,
    find_parser,
    find_taesd,
    read_config,
)
from lipstream.rendering.musetalk.weights.state_dict import read_state
from lipstream.speech.musetalk.backbone import SpeechNetwork
from lipstream.speech.musetalk.hubert import HubertSpeech
from lipstream.speech.musetalk.whisper import (
    WhisperDimensions,
    WhisperEncoder,
    WhisperSpeech,
    encoder_state,
)

if TYPE_CHECKING:
    from lipstream.rendering.musetalk.models.bisenet import BiSeNet

Network = TypeVar("Network", bound=nn.Module)

LEVELS = 4  # of the autoencoder: latents are an eighth of the picture


@dataclass(frozen=True, slots=True, eq=False)
class MuseTalkNetworks:
    """Everything the backend runs, in evaluation mode and without gradients."""

    version: str  # "v1" or "v15": they differ in how a face is cut, not in the networks
    unet: UNet
    vae: Vae
    speech: SpeechNetwork
    device: torch.device
    dtype: torch.dtype
    decoder: TaesdDecoder | None = None  # instead of the autoencoder's own

    def generate(self, latents: Tensor, audio: Tensor) -> Tensor:
        """(b, 8, h, w) latents, (b, tokens, width) audio -> (b, 3, 8 h, 8 w), RGB near -1..1.

        Both are of the networks' device and precision; the audio is without positions. Nothing
        here waits for the device or depends on values, so that a graph can record it.
        """
        generated = self.unet(latents, add_positions(audio))
        if self.decoder is None:
            return self.vae.decode_scaled(generated)
        return self.decoder(generated)


@dataclass(frozen=True, slots=True, eq=False)
class _MetaNetwork(Generic[Network]):
    """A network on the meta device, without memory, and the tensors that fit it."""

    network: Network
    state: Mapping[str, Tensor]

    def materialized(self, device: torch.device, dtype: torch.dtype) -> Network:
        """The network with its tensors, mapped from their file if device and precision allow."""
        self.network.load_state_dict(dict(self.state), assign=True)
        return self.network.to(device, dtype).eval().requires_grad_(False)


def load_checkpoint(
    models: str | Path,
    version: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> MuseTalkNetworks:
    """The networks of a folder of weights; `version` "v1" or "v15", by default v1.5 if it is found.

    `dtype` None is float16 on a GPU, else float32, whatever the files hold. MissingError for a
    file that is missing, CheckpointError for one that does not fit.
    """
    layout = find_layout(models, version)
    device = torch.device(device)
    if dtype is None:
        dtype = torch.float16 if device.type == "cuda" else torch.float32
    unet, vae, speech = _meta_networks(layout)
    if isinstance(speech, _MetaNetwork):
        encoder: SpeechNetwork = WhisperSpeech(speech.materialized(device, dtype))
    else:
        encoder = speech.to(device, dtype).requires_grad_(False)
    return MuseTalkNetworks(
        layout.version,
        unet.materialized(device, dtype),
        vae.materialized(device, dtype),
        encoder,
        device,
        dtype,
    )


def check_checkpoint(layout: Layout) -> None:
    """Raises what `load_checkpoint` would raise for these files; fills no network."""
    _meta_networks(layout)


def check_models(models: str | Path) -> None:
    """Raises what loading any network of a folder would raise; landmarks are no matter of torch."""
    for layout in find_layouts(models):
        check_checkpoint(layout)
    load_parser(models)
    if (Path(models) / TINY).exists():
        load_taesd(models)


def load_parser(models: str | Path, device: torch.device | str = "cpu") -> BiSeNet | None:
    """The optional face parser that MuseTalk was published with, if its weights are found."""
    from lipstream.rendering.musetalk.models.bisenet import BiSeNet, with_batch_counts

    path = find_parser(models)
    if path is None:
        return None
    network = _meta_network(BiSeNet, with_batch_counts(read_state(path)), path)
    return network.materialized(torch.device(device), torch.float32)


def load_taesd(
    models: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> TaesdDecoder:
    """The small decoder of the turbo profile; MissingError and CheckpointError as above."""
    files = find_taesd(models)
    sizes = TaesdDimensions.from_config(read_config(files.config), str(files.config))
    _check_sizes(
        (files.config, "out_channels", sizes.out_channels, 3),
        (files.config, "latent_channels", sizes.latent_channels, 4),
        (files.config, "number of decoder_block_out_channels", len(sizes.blocks), LEVELS),
    )
    state = decoder_state(read_state(files.weights))
    network = _meta_network(lambda: TaesdDecoder(sizes), state, files.weights)
    return network.materialized(torch.device(device), dtype)


def _meta_networks(
    layout: Layout,
) -> tuple[_MetaNetwork[UNet], _MetaNetwork[Vae], _MetaNetwork[WhisperEncoder] | HubertSpeech]:
    """The three networks of a layout; they fit their files and each other."""
    unet_config, vae_config = layout.unet.config, layout.vae.config
    unet = UNetDimensions.from_config(read_config(unet_config), str(unet_config))
    vae = VaeDimensions.from_config(read_config(vae_config), str(vae_config))
    _check_sizes(
        (vae_config, "in_channels", vae.in_channels, 3),
        (vae_config, "out_channels", vae.out_channels, 3),
        (vae_config, "number of block_out_channels", len(vae.widths), LEVELS),
        (unet_config, "in_channels", unet.in_channels, 2 * vae.latent_channels),
        (unet_config, "out_channels", unet.out_channels, vae.latent_channels),
    )
    speech: _MetaNetwork[WhisperEncoder] | HubertSpeech
    if layout.encoder == "whisper":
        speech = _whisper(layout, unet)
    else:
        read_state(layout.speech.weights)  # for its errors: transformers has none naming the file
        speech = HubertSpeech.load(layout.speech.weights.parent)
    vae_state = current_names(read_state(layout.vae.weights))
    vae_network = _meta_network(lambda: Vae(vae), vae_state, layout.vae.weights)
    unet_state = read_state(layout.unet.weights)
    return _meta_network(lambda: UNet(unet), unet_state, layout.unet.weights), vae_network, speech


def _check_sizes(*sizes: tuple[Path, str, int, int]) -> None:
    """Refuse what is not MuseTalk: any other Stable Diffusion network would load as well."""
    for path, name, found, expected in sizes:
        if found != expected:
            raise CheckpointError(
                f"{path} is not of a network of MuseTalk: its {name} is {found}, expected "
                f"{expected}; delete its folder and {PULL}."
            )


def _whisper(layout: Layout, unet: UNetDimensions) -> _MetaNetwork[WhisperEncoder]:
    config = layout.speech.config
    sizes = WhisperDimensions.from_config(read_config(config), str(config))
    if sizes.width != unet.audio_width:
        raise CheckpointError(
            f"{layout.unet.config} is not of a network of MuseTalk for this speech encoder: its "
            f"cross_attention_dim is {unet.audio_width}, expected {sizes.width}, the d_model of "
            f"{config}; delete the wrong folder and {PULL}."
        )
    path = layout.speech.weights
    return _meta_network(lambda: WhisperEncoder(sizes), encoder_state(read_state(path)), path)


def _meta_network(
    build: Callable[[], Network], state: Mapping[str, Tensor], path: Path
) -> _MetaNetwork[Network]:
    """CheckpointError unless the state has the network's tensors, no more and no less."""
    with torch.device("meta"), SkipInit():
        network = build()
    expected = network.state_dict()
    for problem, names in (
        ("lacks", [name for name in expected if name not in state]),
        ("has an unknown tensor", [name for name in state if name not in expected]),
    ):
        if names:
            rest = f" and {len(names) - 1} more" * (len(names) > 1)
            raise CheckpointError(
                f"{path} {problem} {names[0]}{rest}: it is not the network that its config "
                f"describes; delete it and {PULL}."
            )
    for name, tensor in state.items():
        shape, dtype = expected[name].shape, expected[name].dtype
        if tensor.shape != shape:
            problem = f"has the shape {tuple(tensor.shape)}, expected {tuple(shape)}"
        elif tensor.is_floating_point() != dtype.is_floating_point:
            problem = f"holds {tensor.dtype}, expected {dtype}"
        else:
            continue
        raise CheckpointError(f"{path}: {name} {problem}; delete it and {PULL}.")
    return _MetaNetwork(network, state)


class SkipInit(TorchFunctionMode):
    """Weights are not initialised: without memory that only loads torch's compiler, for seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        if func in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_):
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
