"""Rows of the paper that this project only quotes: where the original lives, and why it is not made here.

Keys are the row ids of the tables. Counts are trainable parameters in millions.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_LICENCE = "its code carries no licence, and no checked re-implementation exists here"
BENCHMARK_TRAINED = "it was trained on the benchmark images themselves, so only its published score is comparable"


@dataclass(frozen=True)
class Quoted:
    """One quoted row.

    Attributes:
        label: name as the paper prints it.
        tables: tables of the paper that print it.
        reason: why this project does not make the row.
        home: repository or page of the original.
        licence: licence of the original code, '' where it states none.
        parameters: size in millions, None where nobody states it.
    """

    label: str
    tables: tuple[str, ...]
    reason: str
    home: str
    licence: str = ""
    parameters: float | None = None

    @property
    def sentence(self) -> str:
        """What a report prints beside the row."""
        terms = self.licence or "no licence stated"
        return f"{self.label} is quoted from the paper: {self.reason} (original: {self.home}, {terms})"


QUOTED: dict[str, Quoted] = {
    "deflow": Quoted(
        "DeFlow", ("table1", "table4", "table5"),
        "a large conditional flow; the original has no SIDD configuration", "github.com/volflow/DeFlow", "Apache-2.0",
        62.9,
    ),
    "lud-vae": Quoted(
        "LUD-VAE", ("table1", "table4", "table5"), "not implemented here", "github.com/zhengdharia/LUD-VAE", "MIT", 5.71
    ),
    "danet": Quoted("DANet", ("table1",), NO_LICENCE, "github.com/zsyOAOA/DANet", "", 9.15),
    "flow-srgb": Quoted(
        "Flow-sRGB", ("table1",), "no public code was found", "yorkucvil.github.io/sRGBNoise"
    ),
    "neca-w": Quoted(
        "NeCA-W", ("table1",), f"{NO_LICENCE}; it needs a real noisy image and one network for each camera",
        "github.com/xuan611/sRGB-Real-Noise-Synthesizing", "", 8.10,
    ),
    "n2v": Quoted(
        "N2V", ("table2",), "the printed score is that of earlier papers", "github.com/juglab/n2v", "BSD-3-Clause"
    ),
    "n2s": Quoted(
        "N2S", ("table2",), "the printed score is that of earlier papers", "github.com/czbiohub/noise2self", "MIT", 3.33
    ),
    "cvf-sid": Quoted("CVF-SID", ("table2",), BENCHMARK_TRAINED, "github.com/Reyhanehne/CVF-SID_PyTorch", "", 1.19),
    "ap-bsn-r3": Quoted(
        "AP-BSN + R3", ("table2",), BENCHMARK_TRAINED, "github.com/wooseoklee4/AP-BSN", "MIT", 3.66
    ),
    "scpgabnet": Quoted("SCPGabNet", ("table2",), NO_LICENCE, "github.com/linxin0/SCPGabNet", "", 2.23),
    "sdap": Quoted("SDAP (S)(E)", ("table2",), BENCHMARK_TRAINED, "github.com/p1y2z3/SDAP", "MIT", 3.66),
    "vdn": Quoted("VDN", ("table2",), NO_LICENCE, "github.com/zsyOAOA/VDNet", "", 7.82),
    "deamnet": Quoted("DeamNet", ("table2",), "not implemented here", "github.com/chaoren88/DeamNet", "MIT", 2.23),
    "uformer": Quoted(
        "Uformer", ("table3",), "a reference row; released weights can fill it", "github.com/ZhendongWang6/Uformer",
        "MIT", 50.88,
    ),
    "maxim": Quoted(
        "MAXIM", ("table3",), "published for JAX; ports to PyTorch change the output slightly",
        "github.com/google-research/maxim", "Apache-2.0", 22.2,
    ),
    "restormer": Quoted(
        "Restormer", ("table3",), "a reference row; released weights can fill it", "github.com/swz30/Restormer",
        "academic use only", 26.11,
    ),
    "fssr": Quoted(
        "FSSR", ("table4", "table5"), "not implemented here; released weights can fill table 4",
        "github.com/ManuelFritsche/real-world-sr", "MIT", 16.70,
    ),
    "impressionism": Quoted(
        "Impressionism", ("table4", "table5"), "not implemented here; released weights can fill table 5",
        "github.com/jixiaozhong/RealSR", "Apache-2.0", 16.70,
    ),
    "dasr": Quoted("DASR", ("table4", "table5"), NO_LICENCE, "github.com/ShuhangGu/DASR", "", 16.70),
}
