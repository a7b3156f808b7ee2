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
  ///   number_bytes     size of a number of the matrices: those of a smaller type can be sent too
  StageLink(const Grid& grid, Purpose purpose, std::size_t inputs, std::size_t outputs,
            std::size_t max_samples, bool give_way, std::size_t number_bytes = sizeof(float));

  /// Memory of its own that a rank needs for it.
  ///   neighbours_before, neighbours_after  0 at the ends of the pipeline, else 1
  static std::size_t bytes(Purpose purpose, std::size_t neighbours_before, std::size_t neighbours_after,
                           std::size_t inputs, std::size_t outputs, std::size_t max_samples,
                           std::size_t number_bytes = sizeof(float));

  /// So many microbatches follow.
  void begin(std::size_t microbatches);
  /// From the stage before: (inputs x samples), received into `out`.
  template <class T>
  void receive_activation(MatrixView<T> out) {
    if (activation_in_) activation_in_->receive(bytes_of(out));
  }
  /// To the next stage: (outputs x samples).
  template <class T>
  void send_activation(MatrixView<T> activation) {
    if (activation_out_) activation_out_->send(bytes_of(activation));
  }
  /// From the next stage: (outputs x samples), received into `out`.
  template <class T>
  void receive_gradient(MatrixView<T> out) {
    if (gradient_in_) gradient_in_->receive(bytes_of(out));
  }
  /// To the stage before: (inputs x samples).
  template <class T>
  void send_gradient(MatrixView<T> gradient) {
    if (gradient_out_) gradient_out_->send(bytes_of(gradient));
  }
  /// Lets MPI move what is on its way. Never waits.
  void progress();
  /// Waits until all that was sent has left.
  void finish();

 private:
  std::optional<MatrixReceiver> activation_in_, gradient_in_;
  std::optional<MatrixSender> activation_out_, gradient_out_;
};

}  // namespace fcmnist::comm
