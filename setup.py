"""Packages that avsv needs, and the command `avsv`. utils/install.sh adds the exact versions of constraints.txt.

`pip install .` (better: `pip install . -c constraints.txt`) puts `avsv` on the PATH of any environment. It takes the
CPU build of onnxruntime, because insightface requires that one by name and a setup.py cannot see a GPU; for a GPU:
    pip uninstall -y onnxruntime && pip install --no-deps onnxruntime-gpu
(never both: they share a folder, and the CPU build wins in silence). utils/install.sh does so by itself.

avsv/avsv-torchaudio.pth also goes into site-packages itself: see avsv/torchaudio_library.py. An editable install
leaves it out; utils/install.sh copies it.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.install_lib import install_lib

here = Path(__file__).parent
readme = here / "README.md"

PTH = here / "avsv/avsv-torchaudio.pth"


class InstallLib(install_lib):
    """Installs the .pth file into site-packages too, where Python looks for it."""

    def run(self):
        super().run()
        self.copy_file(str(PTH), self.install_dir)

    def get_outputs(self):
        return [*super().get_outputs(), str(Path(self.install_dir) / PTH.name)]


setup(
    name="avsv",
    version=re.search(r'__version__ = "([^"]+)"', (here / "avsv/__init__.py").read_text(encoding="utf-8")).group(1),
    description="Audio-visual person verification: Kaldi-style recipes and the Python package behind them",
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords="speaker verification, face verification, audio-visual, calibration, PLDA, Kaldi",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.14",
    cmdclass={"install_lib": InstallLib},
    packages=find_packages(include=["avsv", "avsv.*"]),
    package_data={"avsv": ["py.typed", "**/*.yaml", "**/*.json", "**/*.html", "**/*.css", "**/*.js", "*.pth"]},
    entry_points={"console_scripts": ["avsv = avsv.cli:main"]},
    install_requires=[
        # torch, torchaudio and speechbrain move together: each torchaudio is compiled for few releases of torch
        "torch==2.13.*",
        "torchaudio==2.11.*",
        "speechbrain==1.1.*",
        "safetensors>=0.5",
        # faces; insightface requires the three below it as well, and torch.onnx.export needs onnx
        "insightface>=2.1,<3",
        "onnx>=1.17",
        "onnxruntime>=1.20",
        "opencv-python>=4.10",
        # audio and video from files, Kaldi's archives, a voice for the mini corpus
        "av>=17",
        "soundfile>=0.13",
        "soxr>=0.5",
        "pillow>=11",
        "kaldiio>=2.18",
        "espeakng-loader>=0.2.4",
        # numbers, configuration, plots
        "numpy>=2",
        "scipy>=1.13",
        "matplotlib>=3.9",
        "omegaconf>=2.3",
        "pyyaml>=6",
        "tqdm>=4.66",
    ],
    extras_require={
        # scikit-learn, scikit-image, kaldi-native-fbank: independent computations that tests compare ours with;
        # selenium: the report in a browser; hyperpyyaml: models written as SpeechBrain writes them
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "scikit-image>=0.24",
            "scikit-learn>=1.5",
            "kaldi-native-fbank>=1.22",
            "selenium>=4.20",
            "hyperpyyaml>=1.2",
            "ruff>=0.12",
        ],
        # egs/voxceleb/local/resemblyzer_encoder.py; its webrtcvad imports pkg_resources, which later setuptools lack
        "resemblyzer": ["Resemblyzer>=0.1.4", "setuptools<81"],
        # speaker encoders on self-supervised models, through SpeechBrain's Hugging Face integration
        "ssl": ["transformers>=5"],
        # mkdocs build --strict
        "docs": ["mkdocs>=1.6", "mkdocs-material>=9.7", "mkdocstrings[python]>=1"],
    },
)
