"""A run over one source: check, open, track, write.

Errors are found before the first frame where possible: the plan is checked, then source, outputs, detector
and appearance model are opened.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, cast

from tqdm import tqdm

from deepsort_paddle.command.checks import (
    check_outputs,
    check_plan,
    check_source,
    expect_video,
    option_warnings,
)
from deepsort_paddle.command.components import Components, about_run, open_components, open_counter
from deepsort_paddle.command.corrections import correct_run
from deepsort_paddle.command.index_output import IndexOutput, check_same_camera
from deepsort_paddle.command.notes import Notes
from deepsort_paddle.command.outputs import about_outputs, entered, open_outputs
from deepsort_paddle.command.result import Progress, RunResult
from deepsort_paddle.command.saved_run import fill_plan, is_saved, open_frames, open_saved
from deepsort_paddle.command.write_frames import (
    blurred,
    can_be_read_again,
    progress_bar,
    replayed,
    write_frames,
)
from deepsort_paddle.console.signals import Stop
from deepsort_paddle.detection.saved_detections import SavedDetections, SavedMotion
from deepsort_paddle.frames import Frame, FrameSource
from deepsort_paddle.output.detection_writer import DetectionWriter
from deepsort_paddle.output.protocol import Output
from deepsort_paddle.part_files import lock_output, name_disk_errors
from deepsort_paddle.pipeline.confirmation import ConfirmationCheck
from deepsort_paddle.pipeline.offline import Recorder
from deepsort_paddle.pipeline.selective_encoding import SelectiveEncoding
from deepsort_paddle.pipeline.stages import CameraMotion, Detect, Encode, track_frames
from deepsort_paddle.plan.run_plan import FILES, RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.tracking.camera.image_motion import ImageMotion
from deepsort_paddle.tracking.explain import write_table

__all__ = ["run_plan"]

# Batches: enough to even out slow frames; more would only take more memory.
_READ_AHEAD = 2
# Outputs that show who is who.
_WITH_PEOPLE = (
    *("output", "csv", "json", "cvat", "ground_truth", "events", "counts"),
    *("save_video", "save_crops", "report"),
)


def run_plan(
    plan: RunPlan,
    note: Callable[[str], None],
    *,
    detector: Detect | None = None,
    encoder: Encode | None = None,
    outputs: Sequence[Output] = (),
    signals: Sequence[int] = (),
) -> RunResult:
    """Track one source according to a plan.

    Args:
        plan: what to do.
        note: called with each note, one line, once everything is open.
        detector: used instead of the plan's detector.
        encoder: used instead of the plan's appearance model.
        outputs: further outputs, after those of the plan; closed with them.
        signals: numbers of the signals that end the run between two frames.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is invalid.
        ImportError: a library that the plan needs is not installed.
    """
    if plan.apply is not None:
        return correct_run(plan, note, signals=signals)
    with Notes(note) as notes, ExitStack() as stack:
        for output in outputs:
            stack.callback(output.close)
        if is_saved(plan.source) and plan.detections is None:
            plan = replace(plan, detections=plan.source)
        check_plan(plan)
        expect_video(plan.source)
        check_outputs(plan)
        saved = open_saved(plan)
        plan = fill_plan(plan, saved)
        source = stack.enter_context(open_frames(plan, saved, images=bool(outputs)))
        moved = saved is not None and saved.camera_motion is not None
        check_source(plan, source, motion_known=moved)
        plan = plan.in_pixels(source.width, source.height)
        plan = plan.named(source.name, has_images=source.has_images)
        for path in plan.files().values():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        check_outputs(plan)
        for warning in option_warnings(plan, source):
            notes(warning)
        components = open_components(plan, source, notes, detector=detector, encoder=encoder, saved=saved)
        check_same_camera(plan, components)
        notes.release()

        for path in (path for name in FILES if (path := getattr(plan, name))):
            stack.enter_context(lock_output(path))
        first, second = _passes(plan, source, stack)
        run = _Run(plan, first, source, components, notes, outputs, signals, saved)
        progress = Progress(
            source, components.counter, count_every=plan.count_every, start_time=plan.start_time
        )
        recorder = Recorder(keep_embeddings=first.index is not None)
        check = ConfirmationCheck()
        tracked_frames = check.watch(run.track())
        if plan.save_detections:  # before --offline, which drops the embeddings
            about = partial(about_run, plan, source, components)
            saving = stack.enter_context(DetectionWriter(plan.save_detections, about))
            tracked_frames = saving.watch(tracked_frames)
        stack.enter_context(closing(tracked_frames))  # ends its threads before the source is closed
        if plan.offline:
            stopped_by = run.record(tracked_frames, recorder)
            stopped_by = (
                run.write(run.refine(recorder, stack), progress, complete=not stopped_by) or stopped_by
            )
        else:
            stopped_by = run.write(tracked_frames, progress)
        tracked_frames.close()  # the tracker may still be running in a thread
        if second is not None:
            if stopped_by and not plan.offline:
                notes(f"stopped after {progress.frames} frames; writing what was tracked")
            stopped_by = run.write_again(second, progress, stack) or stopped_by

        for remark in (source.note, check.warning(components.tracker.options)):
            if remark:
                notes(remark)
        decisions = components.tracker.journal
        if decisions is not None and plan.explain_csv:
            with name_disk_errors(plan.explain_csv):
                write_table(decisions, plan.explain_csv)
        return progress.result(
            outputs={name: Path(path) for name, path in plan.files().items()},
            warnings=tuple(notes.lines),
            stopped_by=stopped_by,
            decisions=decisions,
            linked=recorder.linked,
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """A run with everything open.

    Attributes:
        plan: with all file names filled in.
        first: the plan of what is written while the source is tracked.
        source: its frames.
        components: detector, appearance model and tracker.
        notes: its notes.
        outputs: further outputs, after those of the plan.
        signals: numbers of the signals that end the run between two frames.
        saved: the detections of the plan, where they were saved by an earlier run.
    """

    plan: RunPlan
    first: RunPlan
    source: FrameSource
    components: Components
    notes: Notes
    outputs: Sequence[Output]
    signals: Sequence[int]
    saved: SavedDetections | None

    def track(self) -> Generator[TrackedFrame, None, None]:
        """Return the frames of the source with their tracks, lazily."""
        plan, components = self.plan, self.components
        read_ahead = plan.read_ahead
        if read_ahead is None:  # prefetching would delay a live source
            read_ahead = 0 if self.source.live else _READ_AHEAD
        return track_frames(
            self.source,
            components.detector.detect,
            components.encode,
            components.tracker,
            frames_per_batch=plan.frames_per_batch,
            read_ahead=read_ahead,
            min_confidence=components.detector.min_confidence,
            class_confidence=components.detector.class_confidence,
            min_height=plan.min_height,
            select=SelectiveEncoding(components.tracker) if plan.encode == "needed" else None,
            clock_rate=components.tracker.options.frame_rate if self.source.live else None,
            camera_motion=self.camera_motion(),
        )

    def camera_motion(self) -> CameraMotion | None:
        """How the camera's motion is taken from the images, or from the file of an earlier run."""
        if self.components.settings["camera_motion"] not in ("images", "both"):
            return None
        if self.source.has_images or self.saved is None:
            return ImageMotion()
        return SavedMotion(self.saved, self.source.frame_numbers or self.saved.frame_number.tolist())

    def write(self, frames: Iterable[TrackedFrame], progress: Progress, *, complete: bool = True) -> int:
        """Hand each frame to all outputs of the first pass; returns the signal that ended it early, or 0.

        Args:
            frames: tracked frames in order.
            progress: updated with each frame.
            complete: False if the frames end before the source does.
        """

        def open_all(stack: ExitStack) -> list[Output]:
            about = about_outputs(self.plan, self.source, self.components)
            opened = open_outputs(self.first, self.source, about, progress, stack)
            if self.first.index:
                index = IndexOutput(
                    self.first.index,
                    self.plan,
                    self.source,
                    self.components,
                    progress,
                    about=about,
                    complete=complete,
                )
                opened.append(entered(stack, self.first.index, index))
            return [*opened, *self.outputs]

        return write_frames(
            blurred(frames, self.plan, self.components.detector.labels),
            open_all,
            progress,
            self.notes,
            bar=self.bar(),
            signals=self.signals,
        )

    def write_again(self, second: RunPlan, progress: Progress, stack: ExitStack) -> int:
        """Write the outputs that waited for the people; returns the signal that ended it early, or 0.

        Args:
            second: the plan of these outputs.
            progress: of the first pass.
            stack: closes what is opened.
        """
        progress.start_counting(open_counter(self.plan, self.source))
        about = about_outputs(self.plan, self.source, self.components)
        frames = replayed(second, self.source, str(self.first.index), stack)
        return write_frames(
            blurred(frames, second, self.components.detector.labels),
            partial(open_outputs, second, self.source, about, progress),
            progress,
            self.notes,
            bar=progress_bar(self.plan, progress.frames),
            signals=self.signals,
            again=True,
        )

    def record(self, frames: Iterable[TrackedFrame], recorder: Recorder) -> int:
        """Track all frames before writing any; return the number of the signal that ended it early, or 0."""
        stop = Stop(self.signals)
        try:
            with stop, self.bar() as bar:
                for tracked in frames:
                    with stop.held():
                        recorder.add(tracked)
                        bar.update()
                    self.notes.collect()
        except KeyboardInterrupt:
            number = stop.signal or signal.SIGINT
            name = signal.Signals(number).name
            self.notes(f"stopped by {name} at frame {len(recorder)}; writing the tracks so far")
            return number
        return 0

    def refine(self, recorder: Recorder, stack: ExitStack) -> Iterator[TrackedFrame]:
        """Return the recorded frames with refined tracks; reads the images again if an output needs them."""
        plan, images = self.first, cast(Iterable[Frame], ())
        of_images = plan.save_video or plan.save_crops or plan.report or plan.index
        if self.source.has_images and (self.outputs or of_images):
            images = stack.enter_context(open_frames(plan))
        options = self.components.tracker.options
        # A tracker that reactivates lost tracks by appearance has already linked them.
        limit = None if options.reactivate_ratio else options.max_cosine_distance
        fps = self.source.fps or 25.0
        return recorder.frames(images, max_cosine_distance=limit, fps=fps, n_init=options.n_init)

    def bar(self) -> tqdm[NoReturn]:
        """Return the progress bar, which is shown only on a terminal."""
        return progress_bar(self.plan, self.source.frame_count)


def _passes(plan: RunPlan, source: FrameSource, stack: ExitStack) -> tuple[RunPlan, RunPlan | None]:
    """The plan whose outputs take the frames while they are tracked, and that of those that wait.

    Who is who is known at the end only. So with ``identities`` the first pass writes an index, and the other
    outputs are written from it, where the source can be read twice.

    Args:
        plan: with all file names filled in.
        source: opened.
        stack: removes an index that no option requested.
    """
    first = plan
    if plan.identities and plan.index is None:
        folder = stack.enter_context(TemporaryDirectory())
        first = replace(plan, index=str(Path(folder) / "index.sqlite"))
    waiting = [name for name in _WITH_PEOPLE if getattr(plan, name)]
    if not (plan.identities and waiting and can_be_read_again(plan, source)):
        return first, None
    second = replace(plan, index=None, show=False)
    left_out: dict[str, Any] = dict.fromkeys(waiting)
    return replace(first, **left_out), second
