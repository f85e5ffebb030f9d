"""Logs as other programs write them: TensorBoard events by PyTorch's writer, with the tags and names of CleanRL."""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


def events(folder: Path, scalars: dict[str, list[tuple[int, float]]], texts: dict[str, str] | None = None) -> Path:
    """An event file in ``folder`` with (step, value) of each tag, and texts."""
    with SummaryWriter(str(folder)) as writer:
        for tag, text in (texts or {}).items():
            writer.add_text(tag, text)
        for tag, points in scalars.items():
            for step, value in points:
                writer.add_scalar(tag, value, step)
    (path,) = folder.glob("events.out.tfevents.*")
    return path


def cleanrl(
    runs: Path,
    episodes: list[tuple[int, float]],
    *,
    env_id: str = "BreakoutNoFrameskip-v4",
    exp_name: str = "dqn_atari",
    seed: int = 1,
    last_step: int = 0,
    folder: str | None = None,
    **arguments,
) -> Path:
    """A run of CleanRL in ``runs``; episodes are (global_step, return), ``last_step`` that of its last loss."""
    known = {"exp_name": exp_name, "seed": seed, "env_id": env_id, "total_timesteps": 2_500, "end_e": 0.01} | arguments
    table = "|param|value|\n|-|-|\n" + "\n".join(f"|{key}|{value}|" for key, value in known.items())
    place = runs / (folder or f"{env_id}__{exp_name}__{seed}__1700000000")
    scalars = {"charts/episodic_return": episodes, "losses/td_loss": [(last_step, 0.5)] if last_step else []}
    events(place, scalars, {"hyperparameters": table})
    return place
