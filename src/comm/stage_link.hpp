#pragma once

#include <cstddef>
#include <optional>

#include "comm/grid.hpp"
#include "comm/matrix_channel.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::comm {

/// What a stage of a pipeline says to its neighbours of the same replica: the activations of microbatches to
/// the next stage, the gradients by them to the one before. At the ends of the pipeline, where there is
/// nobody, the calls do nothing; with one stage they all do.
///
/// A send waits only while the three before it are on their way, since it has memory of its own, and receives
/// are posted ahead. Messages travel while both sides compute as far as MPI moves them by itself, else when a
/// side calls into it.
class StageLink {
 public:
  /// What the messages are for: two links that are there at the same time differ in it. Evaluations have no
  /// gradients.
  enum class Purpose { training, evaluation };

  /// `grid` must outlive it.
  ///   inputs, outputs  units of this stage's input and of its last layer
  ///   max_samples      of a microbatch
  StageLink(const Grid& grid, Purpose purpose, std::size_t inputs, std::size_t outputs,
            std::size_t max_samples, bool give_way);

  /// Memory of its own that a rank needs for it.
  ///   neighbours_before, neighbours_after  0 at the ends of the pipeline, else 1
  static std::size_t bytes(Purpose purpose, std::size_t neighbours_before, std::size_t neighbours_after,
                           std::size_t inputs, std::size_t outputs, std::size_t max_samples);

  /// So many microbatches follow.
  void begin(std::size_t microbatches);
  /// From the stage before: (inputs x samples), received into `out`.
  void receive_activation(MatrixView<float> out);
  /// To the next stage: (outputs x samples).
  void send_activation(MatrixView<const float> activation);
  /// From the next stage: (outputs x samples), received into `out`.
  void receive_gradient(MatrixView<float> out);
  /// To the stage before: (inputs x samples).
  void send_gradient(MatrixView<const float> gradient);
  /// Lets MPI move what is on its way. Never waits.
  void progress();
  /// Waits until all that was sent has left.
  void finish();

 private:
  std::optional<MatrixReceiver> activation_in_, gradient_in_;
  std::optional<MatrixSender> activation_out_, gradient_out_;
};

}  // namespace fcmnist::comm
