"""The options that `train`, `study`, `runs`, `evaluate` and `data` add to the table of options."""

from __future__ import annotations

from costmodel.commands.shared.word import Word

_FIGURE = "into this .svg, .png or .pdf."

TRAINING_WORDS: tuple[Word, ...] = (
    Word("recipe", "--recipe", "fast, paper or keras.", "recipe"),
    Word("config", "--config", "TOML file that overrides the recipe."),
    Word("set", "--set", "key=value, such as optimiser.lr=0.1; repeatable."),
    Word("epochs", "--epochs", "Epochs. Default: the recipe's."),
    Word("step-batch", "--batch", "Images per step, over all ranks. Default: the recipe's."),
    Word("lr", "--lr", "The peak learning rate. Default: the recipe's."),
    Word("seeds", "--seeds --seed", "Seeds: one, several 0,3 or a range 0-4."),
    Word(
        "dataset", "--dataset", "cifar10, cifar100, synthetic, or folder:DIR (train/CLASS/*.png).", "dataset"
    ),
    Word("image-size", "--image-size", "Size to which a folder's images are scaled and cropped: 64, 64x48."),
    Word(
        "data",
        "--data",
        "Folder with the batches of CIFAR-10 (binary or Python) or CIFAR-100 (binary), or their archive.",
    ),
    Word("cifar10", "--data", "Folder with the batches of CIFAR-10 (binary or Python), or their archive."),
    Word("val", "--val", "Hold out 5,000 training images, which choose the epoch."),
    Word("device", "--device", "cpu, cuda or mps. Default: detected.", "device"),
    Word(
        "training-dtype",
        "--dtype --precision",
        "Data type to compute in: float32 or bfloat16. Default: detected.",
        "computed",
    ),
    Word("cpu-threads", "--threads", "CPU threads. Default: all cores."),
    Word("ranks", "--ranks", "Processes on this machine that train together, each on a part of the batch."),
    Word("compile", "--compile", "Use torch.compile; needs a C++ compiler."),
    Word("training-plan", "--plan", "Execution plan: reference, lean or blocked. Default: the best.", "plan"),
    Word(
        "evaluation-plan",
        "--plan",
        "Execution plan: reference, lean, folded or native. Default: the run's own.",
        "plan",
    ),
    Word("name", "--name", "Name of the run. Default: derived from the options."),
    Word("runs", "--runs", "Folder of all runs."),
    Word("checkpoint-minutes", "--checkpoint-minutes", "Minutes between checkpoints."),
    Word("keep", "--keep", "How many checkpoints to keep."),
    Word("from-step", "--from", "Resume from the checkpoint of this step; set later ones aside."),
    Word("allow-change", "--allow-change", "Key that may differ from the run's; repeatable."),
    Word("dry-run", "--dry-run", "Print the plan, costs and the time of a step, without training."),
    Word("dry-study", "--dry-run", "List the runs and their state."),
    Word("tensorboard", "--tensorboard", "Write TensorBoard files too."),
    Word("quiet", "--quiet", "Print only the result."),
    Word("study-depth", "--depth", "Depth of all networks. Default: the table's."),
    Word("shard", "--shard", "Train one part of the runs: 1/4, the first of four."),
    Word(
        "cluster",
        "--cluster",
        "Dask scheduler (tcp://host:port), local, or none. Default: local where cores allow several runs.",
    ),
    Word("weights", "--weights", "Other weights for the network: .safetensors, or .pth with only tensors."),
    Word("curves", "--plot -o", f"Draw the curves {_FIGURE}"),
    Word("record", "--record", "Write a record of each finished run, without weights, into this folder."),
    Word("check-records", "--check", "Check the records in this folder, and show them instead of the runs."),
    Word("onnx", "--onnx", "Write the network as ONNX into this file."),
    Word("torch-export", "--torch-export", "Write the network by torch.export into this file (.pt2)."),
    Word("safetensors", "--safetensors", "Write weights and normalisation into this file."),
    Word("to", "--to", "Folder for the archive. Default: the user's cache."),
)
