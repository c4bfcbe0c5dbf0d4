"""Every system that tables compare, one file each, behind two protocols (see `baselines.base`).

This package imports nothing heavy: `REGISTRY` maps a name to ``module:Class`` and `get` imports on demand, so one
broken baseline disables only itself.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from senm.support.errors import UsageError, unknown

GROUP = "senm.baselines"

REGISTRY: dict[str, str] = {
    "senm-vae": "baselines.noise.senm_vae:SeNMVAEModel",
    "senm-paired": "baselines.noise.senm_vae:PairedModel",
    "c2n": "baselines.noise.c2n.model:C2N",
    "deflow": "baselines.noise.deflow.model:DeFlow",
    "lud-vae": "baselines.noise.lud_vae.model:LUDVAE",
    "danet": "baselines.noise.danet.model:DANet",
    "flow-srgb": "baselines.noise.flow_srgb.model:FlowSRGB",
    "neca-w": "baselines.noise.neca_w.model:NeCAW",
    "gaussian": "baselines.noise.gaussian:WhiteGaussian",
    "heteroscedastic": "baselines.noise.gaussian:HeteroscedasticGaussian",
    "external-noise": "baselines.published.external:ExternalNoise",
    "dncnn": "baselines.restorers.dncnn:DnCNN",
    "drunet": "baselines.restorers.drunet:DRUNet",
    "nafnet": "baselines.restorers.nafnet:NAFNet",
    "nafnet-finetune": "baselines.restorers.nafnet:NAFNetFineTune",
    "n2v": "baselines.restorers.n2v.model:N2V",
    "n2s": "baselines.restorers.n2s.model:N2S",
    "cvf_sid": "baselines.restorers.cvf_sid.model:CVFSID",
    "apbsn": "baselines.restorers.apbsn.model:APBSN",
    "scpgabnet": "baselines.restorers.scpgabnet.model:SCPGabNet",
    "sdap": "baselines.restorers.sdap.model:SDAP",
    "vdn": "baselines.restorers.vdn.model:VDN",
    "deamnet": "baselines.restorers.deamnet.model:DeamNet",
    "uformer": "baselines.restorers.uformer.model:Uformer",
    "maxim": "baselines.restorers.maxim.model:Maxim",
    "restormer": "baselines.restorers.restormer.model:Restormer",
    "danet-denoiser": "baselines.noise.danet.model:DANetDenoiser",
    "rrdb-psnr": "baselines.super_resolution.esrgan.model:PSNRStart",
    "esrgan": "baselines.super_resolution.esrgan.model:ESRGAN",
    "fssr": "baselines.super_resolution.fssr.model:FSSR",
    "impressionism": "baselines.super_resolution.impressionism.model:Impressionism",
    "dasr": "baselines.super_resolution.dasr.model:DASR",
    "deflow-aim19": "baselines.super_resolution.deflow:DeFlowAIM19",
    "deflow-ntire20": "baselines.super_resolution.deflow:DeFlowNTIRE20",
    "lud-vae-aim19": "baselines.super_resolution.lud_vae:LUDVAEAim19",
    "lud-vae-ntire20": "baselines.super_resolution.lud_vae:LUDVAENtire20",
    "esrgan-fssr": "baselines.super_resolution.fssr.model:FSSREnlarger",
    "esrgan-dasr": "baselines.super_resolution.dasr.model:DASREnlarger",
    "external-restorer": "baselines.published.external:ExternalRestorer",
    "external-x4": "baselines.published.external:ExternalEnlarger",
}

_plugins: dict[str, str] = {}


def names() -> tuple[str, ...]:
    """All names known here: built in, loaded with `load_plugin`, and installed as entry points."""
    return tuple(dict.fromkeys((*REGISTRY, *_plugins, *_entry_points())))


def get(name: str) -> Any:
    """The class registered under `name`, imported now.

    Raises:
        UsageError: the name is unknown, or its module or class cannot be imported.

    Example:
        >>> from pathlib import Path
        >>> import baselines, senm
        >>> from senm.support.progress import NullProgress
        >>> APBSN, noisy, quiet = baselines.get("apbsn"), senm.images_in("noisy"), NullProgress()
        >>> network = APBSN.fit([noisy], APBSN.default_settings("short"), seed=0, device="cpu",
        ...                     workdir=Path("training"), progress=quiet)
        >>> network.save(Path("network"))
        >>> restored = list(network.restore(noisy, device="cpu", progress=quiet))
    """
    target = REGISTRY.get(name) or _plugins.get(name) or _entry_points().get(name)
    if target is None:
        raise unknown("noise model or restorer", name, names())
    return _import(name, target)


def load_plugin(target: str) -> Any:
    """Import ``module:Class``, register it under its own `name` attribute and return the class.

    The module may lie in the working folder, also where an installed command does not look there.

    Raises:
        UsageError: malformed target, failing import, a class without `name`, or a name that is taken.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    plugin = _import(target, target)
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f"{target} has no name", "a class attribute 'name' with the row's name", f"add it to {target}")
    if not hasattr(plugin, "sample") and not hasattr(plugin, "restore"):
        raise UsageError(f"{target} is neither a noise model nor a restorer", "a method 'sample' or 'restore'")
    if name in REGISTRY or _plugins.get(name, target) != target:
        raise UsageError(f"{target} calls itself {name!r}, which is taken", "a name of its own")
    _plugins[name] = target
    return plugin


def available() -> dict[str, str]:
    """For each known name an empty string, or the sentence that says why it cannot be used."""
    problems = {}
    for name in names():
        try:
            get(name)
            problems[name] = ""
        except UsageError as error:
            problems[name] = str(error)
    return problems


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}


def _import(name: str, target: str) -> Any:
    module_name, colon, class_name = target.partition(":")
    if not (module_name and colon and class_name):
        raise UsageError(f"{target!r} does not name a class", "module:Class, for example my_package.noise:MyNoise")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"{name!r} cannot be imported: {error}", f"a module {module_name!r}") from error
    except (Exception, SystemExit) as error:
        if name in REGISTRY:
            raise
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UsageError(f"{name!r} cannot be imported: {what}", f"a module {module_name!r} that can") from error
    try:
        return getattr(module, class_name)
    except AttributeError as error:
        raise UsageError(f"module {module_name!r} has no class {class_name!r}", f"the class of {name!r}") from error
