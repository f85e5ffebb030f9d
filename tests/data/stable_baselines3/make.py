"""Two short runs of Stable-Baselines3's DQN, with monitor files and TensorBoard logs: ``python make.py OUT eval``."""

import sys
from pathlib import Path

import ale_py
import gymnasium
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecFrameStack

GAME = "BreakoutNoFrameskip-v4"


def environments(run: int, number: int, folder: Path | None = None) -> VecFrameStack:
    return VecFrameStack(make_atari_env(GAME, number, seed=run, monitor_dir=folder and str(folder)), 4)


def main(out: Path, evaluates: bool) -> None:
    gymnasium.register_envs(ale_py)
    for run in (1, 2):
        train = environments(run, 2, out / "dqn" / f"{GAME}_{run}")
        model = DQN("CnnPolicy", train, buffer_size=100, learning_starts=10_000, exploration_fraction=0.5,
                    exploration_final_eps=0.05, seed=run, tensorboard_log=str(out / "tb" / GAME))  # fmt: skip
        callback = EvalCallback(environments(run, 1), eval_freq=400, n_eval_episodes=2) if evaluates else None
        model.learn(2_000 * run, log_interval=4, callback=callback)
        lengths, returns = train.get_attr("episode_lengths"), train.get_attr("episode_returns")
        print(run, model.num_timesteps, train.get_attr("total_steps"), lengths, returns)
        train.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), "eval" in sys.argv)
