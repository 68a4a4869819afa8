"""Face parsing: the class of every pixel of a face picture, one of 19.

BiSeNet (Yu et al. 2018, "Bilateral Segmentation Network") with a ResNet-18 as its backbone, in the
variant of which 79999_iter.pth, trained on CelebAMask-HQ, is the public checkpoint. Only the first
of its three heads is used; the other two helped in training, and the checkpoint holds them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn import functional

from lipstream.media.image import Floats, Image
from lipstream.rendering.musetalk.preprocess.masks import Labels

CLASSES = 19
SIDE = 512
STAGES = (64, 128, 256, 512)  # channels of the backbone's four stages
NECK, FUSED = 128, 256  # channels of the context path and after fusing
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, RGB


class FaceParser:
    """Labels pictures with a network that has its weights."""

    def __init__(self, network: BiSeNet, device: torch.device | str = "cpu") -> None:
        self._network = network.eval().to(device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, picture: Image) -> Labels:
        """(h, w, 3) uint8 RGB of the square around a face -> (512, 512) uint8 labels."""
        images = torch.from_numpy(parser_input(picture)).to(self._device)
        return self._network(images)[0].argmax(0).to(torch.uint8).cpu().numpy()


def parser_input(picture: Image) -> Floats:
    """(h, w, 3) uint8 RGB -> (1, 3, 512, 512) float32, normalised as ImageNet pictures are."""
    sized = Pillow.fromarray(picture).resize((SIDE, SIDE), Pillow.Resampling.BILINEAR)
    unit = np.asarray(sized, np.float32) / np.float32(255)
    scaled = (unit - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


class BiSeNet(nn.Module):
    """(b, 3, h, w) -> (b, 19, h, w) logits; h and w are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = SegmentationHead(FUSED, FUSED)
        self.conv_out16 = SegmentationHead(NECK, 64)
        self.conv_out32 = SegmentationHead(NECK, 64)

    def forward(self, images: Tensor) -> Tensor:
        fine, context, _ = self.cp(images)
        return self.conv_out(self.ffm(fine, context), images.shape[2:])


class ContextPath(nn.Module):
    """The backbone and the way back up: features at 1/8, context at 1/8 and at 1/16."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = AttentionRefinement(STAGES[2])
        self.arm32 = AttentionRefinement(STAGES[3])
        self.conv_head32 = ConvNormRelu(NECK, NECK, 3)
        self.conv_head16 = ConvNormRelu(NECK, NECK, 3)
        self.conv_avg = ConvNormRelu(STAGES[3], NECK, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(images)
        whole = self.conv_avg(last.mean((2, 3), keepdim=True))  # broadcast over the picture
        coarse = self.conv_head32(_twice(self.arm32(last) + whole))
        context = self.conv_head16(_twice(self.arm16(sixteenth) + coarse))
        return eighth, context, coarse


class AttentionRefinement(nn.Module):
    """Channels weighed by their mean over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvNormRelu(channels, NECK, 3)
        self.conv_atten = nn.Conv2d(NECK, NECK, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(NECK)

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv(features)
        mean = features.mean((2, 3), keepdim=True)
        weight: Tensor = torch.sigmoid(self.bn_atten(self.conv_atten(mean)))
        return features * weight


class FeatureFusion(nn.Module):
    """Fine features and context in one, with channel attention on top."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvNormRelu(STAGES[1] + NECK, FUSED, 1)
        self.conv1 = nn.Conv2d(FUSED, FUSED // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(FUSED // 4, FUSED, 1, bias=False)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        features: Tensor = self.convblk(torch.cat([fine, context], 1))
        mean = features.mean((2, 3), keepdim=True)
        weight = torch.sigmoid(self.conv2(functional.relu(self.conv1(mean))))
        return features * weight + features


class SegmentationHead(nn.Module):
    """Features -> logits of every class at the size of the picture."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvNormRelu(channels, middle, 3)
        self.conv_out = nn.Conv2d(middle, CLASSES, 1, bias=False)

    def forward(self, features: Tensor, size: torch.Size) -> Tensor:
        logits = self.conv_out(self.conv(features))
        return functional.interpolate(logits, size, mode="bilinear", align_corners=True)


class ConvNormRelu(nn.Module):
    """Convolution, BatchNorm, ReLU at one size."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(features)))


class ResNet18(nn.Module):
    """The backbone without its classifier: features at 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STAGES[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGES[0])
        self.layer1 = _stage(STAGES[0], STAGES[0], 1)
        self.layer2 = _stage(STAGES[0], STAGES[1], 2)
        self.layer3 = _stage(STAGES[1], STAGES[2], 2)
        self.layer4 = _stage(STAGES[2], STAGES[3], 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = functional.relu(self.bn1(self.conv1(images)))
        quarter = functional.max_pool2d(half, 3, stride=2, padding=1)
        eighth = self.layer2(self.layer1(quarter))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            shortcut = nn.Conv2d(channels, out, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))

    def forward(self, features: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(features)))))
        return functional.relu(self.downsample(features) + inner)


def with_batch_counts(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, and a zero where a BatchNorm lacks `num_batches_tracked`.

    The first versions of torch saved none, and only training reads it.
    """
    norms = [name.removesuffix("running_mean") for name in state if name.endswith(".running_mean")]
    counts = {f"{norm}num_batches_tracked": torch.zeros((), dtype=torch.int64) for norm in norms}
    return {**counts, **state}


def _stage(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Residual(channels, out, stride), Residual(out, out, 1))


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2, mode="nearest")
