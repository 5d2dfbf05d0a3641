"""What determines a network, declared once and without torch: the recipe, the command line and files use it.

A network for frames of width D is ``MusicRNN(settings, D)``. To add a setting, declare and describe it
here and read it where the network is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from musicrnn.errors import UsageError
from musicrnn.settings import assemble, check, setting

_NETWORK, _STRUCTURE, _REGULARISATION = "network", "structure", "regularisation"


@dataclass(frozen=True)
class RecurrentSettings:
    """The stack of recurrent layers.

    Attributes:
        cell: Recurrent unit: tanh, lstm, gru, gru-reset-after, gru-simplified, irnn or scrn.
        hidden: Hidden units of each layer.
        layers: Recurrent layers.
        peepholes: Peephole connections (lstm; Graves 2013).
        context: Context units of each layer (scrn).
        alpha: Share of the context that is kept from frame to frame (scrn).
        learn_alpha: Learn alpha for each context unit (scrn).
        connections: plain; residual: a layer's output is added to its input, from the second layer on (He et
            al. 2016); skip: every layer receives the frame too, and the output receives every layer (Graves
            2013).
        layer_norm: Layer normalisation of later layers' inputs and of the output (Ba et al. 2016).
    """

    cell: str = setting(_NETWORK, "gru")
    hidden: int = setting(_NETWORK, 128, "[1, inf)")
    layers: int = setting(_NETWORK, 1, "[1, inf)")
    peepholes: bool = setting(_NETWORK, False)
    context: int | None = setting(_NETWORK, None, "[1, inf)", usual="a quarter")
    alpha: float = setting(_NETWORK, 0.95, "(0, 1)")
    learn_alpha: bool = setting(_NETWORK, False)
    connections: str = setting(_NETWORK, "plain", choices=("plain", "residual", "skip"))
    layer_norm: bool = setting(_NETWORK, False)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class StructureSettings:
    """What is built around the layers.

    Attributes:
        attention: Attention heads over earlier frames of the piece, which retrieve the frames that followed
            them; 0 is none (Vaswani et al. 2017; Grave et al. 2017).
        attention_size: Width of a head's queries and keys.
        pitchwise: Units of a recurrence for each pitch, with weights that all pitches share; its inputs are
            the octave around the pitch; 0 is none (Johnson 2017).
        clock: Position features (one-hot): periods in frames, such as 4,16, counted from the first frame.
    """

    attention: int = setting(_STRUCTURE, 0, "[0, inf)")
    attention_size: int = setting(_STRUCTURE, 32, "[1, inf)")
    pitchwise: int = setting(_STRUCTURE, 0, "[0, inf)")
    clock: str = setting(_STRUCTURE, "", usual="none")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class DropoutSettings:
    """Dropout.

    Attributes:
        dropout: Dropout on every layer's output, not on the recurrence (Zaremba et al. 2014).
        variational_dropout: The same dropout mask for all frames of a sequence (Gal and Ghahramani 2016).
        weight_dropout: Dropout on the recurrent matrices, sampled once per batch (Merity et al. 2018).
    """

    dropout: float = setting(_REGULARISATION, 0.0, "[0, 1)")
    variational_dropout: bool = setting(_REGULARISATION, False)
    weight_dropout: float = setting(_REGULARISATION, 0.0, "[0, 1)")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class NetworkSettings:
    """A network, but for the width of its frames.

    Attributes:
        recurrent: The stack of recurrent layers.
        head: Output distribution.
        embedding: Width of a linear embedding of the input frames; 0 is none.
        tied: One matrix for the input embedding, which is then as wide as a layer, and for the output (Press
            and Wolf 2017; Inan et al. 2017).
        structure: What is built around the layers.
        regularisation: Dropout.

    Raises:
        UsageError: Settings that contradict each other.
    """

    recurrent: RecurrentSettings = field(default_factory=RecurrentSettings)
    head: str = setting(_NETWORK, "bernoulli")
    embedding: int = setting(_NETWORK, 0, "[0, inf)")
    tied: bool = setting(_NETWORK, False)
    structure: StructureSettings = field(default_factory=StructureSettings)
    regularisation: DropoutSettings = field(default_factory=DropoutSettings)

    def __post_init__(self) -> None:
        check(self)
        layers = self.recurrent
        if self.tied and self.embedding not in (0, layers.hidden):
            raise UsageError(
                f"a tied embedding must be as wide as a layer, {layers.hidden}, got {self.embedding}"
            )
        if self.tied and layers.connections == "skip" and layers.layers > 1:
            raise UsageError("tied weights need an output as wide as a layer, got skip connections")

    def __str__(self) -> str:
        return f"{self.recurrent.cell} {self.recurrent.hidden}"

    @classmethod
    def of(cls, **settings: Any) -> NetworkSettings:
        """Return the network that has these settings, by name, and the defaults of all others."""
        return assemble(cls, settings)
