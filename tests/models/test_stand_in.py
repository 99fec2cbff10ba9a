"""Libraries work as before when slow modules that they import are replaced by stand-ins."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def printed(code):
    """What a new Python process prints; in this one, the modules may be loaded already."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loading_and_training_networks_leave_torchs_compiler_out_until_it_is_used():
    code = """if True:
        import sys, torch
        from avsv.models.checkpoint import without_memory
        from avsv.training.schedule import OptimizerConfig, make_optimizer
        from avsv.models.avn_e import Fusion, FusionOptions
        net = without_memory(lambda: Fusion(3, 5, FusionOptions(missing="learned")))
        print(*net.voice_state.shape, net.voice_state.device, "sympy" in sys.modules)
        net = torch.nn.Linear(2, 2)
        optimizer = make_optimizer(net, OptimizerConfig())
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        print("torch._dynamo.config" in sys.modules)
        compiled = torch.compile(net, backend="eager")
        compiled(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        print("torch._dynamo.config" in sys.modules)
    """
    assert printed(code) == ["3", "meta", "False", "False", "True"]


def test_importing_speechbrain_leaves_scipys_statistics_out_until_they_are_used():
    code = """if True:
        import sys
        from avsv.models.speechbrain_library import import_speechbrain
        import_speechbrain()
        print("scipy.stats" in sys.modules)
        from speechbrain.dataio.sampler import lognorm
        print(round(float(lognorm.cdf(1.0, s=1)), 6))
        import scipy.stats
        print(scipy.stats.norm.cdf(0.0))
    """
    assert printed(code) == ["False", "0.5", "0.5"]
